import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "hopwise-bad-"));

/** A file beside demo:services, as the words of a command line. */
function beside(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return `-w demo:services -w ${path}`;
}

function service(name: string, spec: string): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec: {${spec}}\n`;
}

describe("input that no cluster would have is refused by check and by trace, with its place", () => {
  it.each([
    [
      "two nodes with one pod CIDR",
      beside(
        "cidr.yaml",
        "apiVersion: v1\nkind: Node\nmetadata: {name: worker-3}\nspec: {podCIDR: 10.244.1.128/25}\nstatus: {addresses: [{type: InternalIP, address: 192.168.30.13}]}\n",
      ),
      "cidr.yaml:4:17: error: Node worker-3: pod CIDR 10.244.1.128/25 overlaps 10.244.1.0/24 of node worker-1",
      "help: the other one is at 00-cluster.yaml:39; every node needs a pod CIDR of its own",
    ],
    [
      "two Services with one cluster IP",
      beside("twin.yaml", service("twin", "clusterIP: 10.96.50.30, ports: [{port: 80}]")),
      "twin.yaml:4:19: error: Service shop/twin: spec.clusterIPs: Invalid value",
      "help: Service shop/sticky (20-services.yaml:48) has it",
    ],
    [
      "a conflist with a plugin that is not modelled",
      beside(
        "cni/01-other.conflist",
        '{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "cilium-cni"}]}',
      ),
      '01-other.conflist:1:61: error: hopwise does not model the CNI plugin "cilium-cni" yet',
      "help: without this file a bridge is assumed, and check says so",
    ],
    [
      "a conflist with a plugin that there is not",
      beside(
        "cni/02-other.conflist",
        '{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "brige"}]}',
      ),
      '02-other.conflist:1:61: error: failed to find plugin "brige" in path [/opt/cni/bin]',
      'help: did you mean "bridge"?',
    ],
    [
      "another node's addresses",
      beside(
        "worker-2/ip-addr.json",
        '[{"ifindex": 2, "ifname": "eth0", "link_type": "ether", "flags": ["UP"], "mtu": 1500, "addr_info": [{"family": "inet", "local": "192.168.30.11", "prefixlen": 24, "scope": "global"}]}]',
      ),
      "error: the recorded addresses of worker-2 lack its own 192.168.30.12 and have 192.168.30.11 of worker-1: are dumps of two nodes mixed up?",
      "",
    ],
  ])("%s", async (_, world, error, help) => {
    for (const command of ["check", "trace shop/web-0 shop/web-1:8080"]) {
      const run = await hopwise(`${command} ${world}`);
      expect(run.exit).toBe(2);
      expect(run.out).toBe("");
      expect(run.err).toContain(error);
      expect(run.err).toContain(help);
    }
  });
});

describe("what the API server refuses of a Service's ports", () => {
  it.each([
    ["ports: [{port: 80}, {port: 81}]", "spec.ports[1]: name: Required value"],
    [
      "ports: [{name: a, port: 80}, {name: a, port: 81}]",
      'spec.ports[1].name: Duplicate value: "a"',
    ],
    [
      "ports: [{name: a, port: 80}, {name: b, port: 80}]",
      "spec.ports[1].port: Duplicate value: 80/TCP",
    ],
    ["selector: {app: web}", "spec.ports: Required value"],
  ])("%s", async (spec, error) => {
    const run = await hopwise(`check ${beside("ports.yaml", service("wrong", spec))}`);
    expect(run.exit).toBe(2);
    expect(run.err).toContain(`error: Service shop/wrong: ${error}\n`);
    expect(run.err).toMatch(/ports\.yaml:\d+:\d+: error/);
  });
});

describe("input that leads nowhere is loaded, warned of by check and explained by trace", () => {
  it("a targetPort by a name that no pod has", async () => {
    const world = beside(
      "port.yaml",
      service(
        "named",
        "clusterIP: 10.96.50.60, selector: {app: web}, ports: [{name: http, port: 80, targetPort: htpt}]",
      ),
    );
    const why =
      'Service shop/named has no endpoint for port 80: none of its 2 pods has a port named "htpt"';
    const check = await hopwise(`check ${world}`);
    expect(check).toMatchObject({ exit: 0, out: expect.stringContaining(`warning  ${why}  (`) });
    expect(check.out).toContain("port.yaml:4:");
    const trace = await hopwise(`trace shop/web-0 shop/named ${world}`);
    expect(trace.exit).toBe(1);
    expect(trace.out).toContain("NO-ENDPOINT  worker-1 filter KUBE-SERVICES[");
    expect(trace.out).toContain("SENDER SEES  connection refused (ECONNREFUSED)");
    expect(trace.err).toContain(`note: ${why}\n`);
  });

  it("a port that the Service does not have", async () => {
    const trace = await hopwise("trace shop/web-0 shop/empty:81 -w demo:services");
    expect(trace.exit).toBe(1);
    expect(trace.out).toContain("NO-ROUTE");
    expect(trace.err).toBe(
      "note: Service shop/empty has no port tcp/81, so nothing takes its address there; it has http tcp/80\n",
    );
  });

  it.each([
    ["mail", "ExternalName", "DNS answers mail.example.com: mail.shop:25"],
    ["peers", "None", "DNS picks a pod: peers.shop:25"],
  ])("a Service without an address, %s", async (name, kind, answer) => {
    const trace = await hopwise(`trace shop/web-0 shop/${name}:25 -w demo:services`);
    expect(trace.exit).toBe(2);
    expect(trace.err).toContain(`error: Service shop/${name} has no cluster IP (${kind})\n`);
    expect(trace.err).toContain(`help: ask for it by name, so that ${answer}\n`);
  });

  it("an EndpointSlice of a Service that is not there", async () => {
    const world = beside(
      "slice.yaml",
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: lost-1, namespace: shop, labels: {kubernetes.io/service-name: lost}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.244.1.5]}]\n",
    );
    const check = await hopwise(`check ${world}`);
    expect(check.exit).toBe(0);
    expect(check.out).toContain(
      "warning  EndpointSlice shop/lost-1 is for Service shop/lost, which is not there: kube-proxy makes no rules of it",
    );
    const trace = await hopwise(`trace shop/web-0 shop/lost ${world}`);
    expect(trace).toMatchObject({
      exit: 2,
      err: expect.stringContaining('no pod, service or node "shop/lost"'),
    });
  });

  it("a CNI configuration that comes after another one", async () => {
    const conflist = '{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "cilium-cni"}]}';
    const note = "is not used: 10-bridge.conflist comes first by name, as runtimes choose";
    const world = beside("90-cilium.conflist", conflist);
    const check = await hopwise(`check ${world}`);
    expect(check.exit).toBe(0);
    expect(check.out).toContain(note);
    const trace = await hopwise(`trace shop/web-0 shop/web-1:8080 -q ${world}`);
    expect(trace).toMatchObject({ exit: 0, err: expect.stringContaining(note) });
  });

  it("a CNI configuration that does not load is passed over, and check names the one that counts", async () => {
    const check = await hopwise(`check ${beside("cni/03-broken.conflist", '{"plugins": [')}`);
    expect(check.exit).toBe(0);
    expect(check.out).toMatch(
      /note {2}CNI configuration passed over, as runtimes do: error parsing .*; 10-bridge\.conflist counts {2}\(.*03-broken\.conflist:1:/,
    );
  });
});
