import { describe, expect, it } from "vitest";
import { legacyEndpoints } from "../../src/kube/controllers/legacy-endpoints.js";
import { refillSlices } from "../../src/kube/controllers/refill-slices.js";
import { nameOf } from "../../src/kube/objects.js";
import { cluster } from "./texts.js";

const node =
  "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {podCIDR: 10.244.0.0/16}\nstatus: {addresses: [{type: InternalIP, address: 192.168.1.1}]}\n";
const pod = (index: number, more = "", ready = "True"): string =>
  `---\napiVersion: v1\nkind: Pod\nmetadata: {name: p${index}, labels: {app: a}${more}}\nspec: {nodeName: n, containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.244.${Math.floor(index / 250)}.${2 + (index % 250)}, conditions: [{type: Ready, status: "${ready}"}]}\n`;
const service = (more = ""): string =>
  `---\napiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {team: x}}\nspec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}]${more}}\n`;

function endpointsOf(text: string): ReturnType<typeof legacyEndpoints>[number]["object"] {
  const built = cluster(node + text);
  const found = legacyEndpoints({ ...built, endpoints: built.objects.Endpoints }).find(
    ({ object }) => nameOf(object) === "a",
  );
  if (found === undefined) throw new Error("no Endpoints object");
  return found.object;
}

describe("the old Endpoints object of a Service", () => {
  it("has ready and not ready addresses apart, sorted, under the Service's name and labels", () => {
    const { metadata, subsets } = endpointsOf(
      service() + pod(1) + pod(0) + pod(2, "", "False") + pod(3, ", deletionTimestamp: 2025-01-01"),
    );
    expect(metadata).toMatchObject({ name: "a", namespace: "default", labels: { team: "x" } });
    expect(subsets).toMatchObject([
      {
        addresses: [{ ip: "10.244.0.2", nodeName: "n" }, { ip: "10.244.0.3" }],
        notReadyAddresses: [{ ip: "10.244.0.4", targetRef: { kind: "Pod", name: "p2" } }],
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      },
    ]);
  });

  it("has terminating pods too where the Service publishes what is not ready", () => {
    const { subsets = [] } = endpointsOf(
      service(", publishNotReadyAddresses: true") +
        pod(0, ", deletionTimestamp: 2025-01-01", "False"),
    );
    expect(subsets[0]?.addresses?.map(({ ip }) => ip)).toEqual(["10.244.0.2"]);
  });

  it("has room for 1,000 addresses, ready ones first, and says when it was cut", () => {
    const pods = (count: number): string =>
      Array.from({ length: count }, (_, index) =>
        pod(index, "", index % 10 === 0 ? "False" : "True"),
      ).join("");
    const whole = endpointsOf(service() + pods(1_000));
    expect(whole.metadata?.annotations).toBeUndefined();
    expect(whole.subsets?.[0]?.addresses).toHaveLength(900);
    expect(whole.subsets?.[0]?.notReadyAddresses).toHaveLength(100);
    const cut = endpointsOf(service() + pods(1_050));
    expect(cut.metadata?.annotations).toEqual({
      "endpoints.kubernetes.io/over-capacity": "truncated",
    });
    expect(cut.subsets?.[0]?.addresses).toHaveLength(945);
    expect(cut.subsets?.[0]?.notReadyAddresses).toHaveLength(55);
  });

  it("that is given stays as it is, and a Service without a selector has none", () => {
    const given =
      "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 192.0.2.1}]}]\n";
    expect(endpointsOf(service() + given + pod(0)).subsets).toEqual([
      { addresses: [{ ip: "192.0.2.1" }] },
    ]);
    const plain = service().replace("selector: {app: a}, ", "");
    expect(() => endpointsOf(plain + pod(0))).toThrow("no Endpoints object");
  });
});

describe("slices that are there when endpoints change", () => {
  const endpoint = (name: string, ready = true): Parameters<typeof refillSlices>[1][number] => ({
    addresses: [`10.0.0.${name}`],
    conditions: { ready },
    targetRef: { kind: "Pod", namespace: "d", name },
  });
  const slice = (
    name: string,
    ...names: readonly string[]
  ): Parameters<typeof refillSlices>[0][number] => ({
    addressType: "IPv4",
    metadata: { name },
    endpoints: names.map((one) => endpoint(one)),
    ports: [],
  });
  const refill = (
    slices: Parameters<typeof refillSlices>[0],
    wanted: readonly string[],
    max = 3,
  ): readonly (readonly string[])[] => {
    const { kept, left } = refillSlices(
      slices,
      wanted.map((one) => endpoint(one)),
      max,
    );
    const namesIn = (
      list: readonly { readonly targetRef?: { readonly name?: string } }[],
    ): string => list.map(({ targetRef }) => targetRef?.name ?? "").join(" ");
    return [
      ...kept.map(({ metadata, endpoints }) => [metadata?.name ?? "", namesIn(endpoints ?? [])]),
      ["left", namesIn(left)],
    ];
  };

  it("keep what stays where it is; those that change take new ones first", () => {
    expect(refill([slice("a", "1", "2", "3"), slice("b", "4")], ["1", "3", "4", "5"])).toEqual([
      ["a", "1 3 5"],
      ["b", "4"],
      ["left", ""],
    ]);
  });

  it("else the fullest that has room for all takes them", () => {
    expect(refill([slice("a", "1"), slice("b", "2", "3")], ["1", "2", "3", "4"])).toEqual([
      ["a", "1"],
      ["b", "2 3 4"],
      ["left", ""],
    ]);
    expect(refill([slice("a", "1", "2", "3")], ["1", "2", "3", "4"])).toEqual([
      ["a", "1 2 3"],
      ["left", "4"],
    ]);
  });

  it("go when they are empty, but for the last", () => {
    expect(refill([slice("a", "1"), slice("b", "2")], ["2"])).toEqual([
      ["b", "2"],
      ["left", ""],
    ]);
    expect(refill([slice("a", "1"), slice("b", "2")], [])).toEqual([
      ["a", ""],
      ["left", ""],
    ]);
  });
});
