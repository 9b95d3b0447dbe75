import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

interface Traces {
  readonly traces: readonly {
    readonly verdict: string;
    readonly steps: readonly { leg: string; table: string | null; step: string; effect: string }[];
  }[];
}

async function traces(line: string): Promise<Traces["traces"]> {
  const { out } = await hopwise(`trace ${line} -w demo:shop -o json`);
  return (JSON.parse(out) as Traces).traces;
}

describe("hopwise trace --count", () => {
  it("asks no nat rule for what a connection sends later: conntrack translates it", async () => {
    const [first, ...later] = await traces("shop/web-0 shop/api:80 --count 3");
    expect(first?.steps.some(({ table }) => table === "nat")).toBe(true);
    expect(later).toHaveLength(2);
    for (const { verdict, steps } of later) {
      expect(verdict).toBe("DELIVERED");
      expect(steps.filter(({ table }) => table === "nat")).toEqual([]);
      expect(steps.map(({ step, effect }) => `${step} ${effect}`)).toContain(
        "conntrack dst 10.96.44.10:80 => 10.244.2.5:8080",
      );
    }
  });

  it.each(["shop/web-0 shop/api-1 --proto icmp", "shop/web-0 kube-system/kube-dns:53 --proto udp"])(
    "%s asks again when it was answered, and shows the way back each time",
    async (line) => {
      const all = await traces(`${line} --count 3`);
      expect(all.map(({ verdict }) => verdict)).toEqual(["DELIVERED", "DELIVERED", "DELIVERED"]);
      for (const { steps } of all) expect(steps.at(-1)?.leg).toBe("back");
    },
  );

  it("is the same first packet as without it", async () => {
    const plain = await hopwise("trace shop/web-0 shop/api:80 -w demo:shop");
    const { out } = await hopwise("trace shop/web-0 shop/api:80 -w demo:shop --count 2");
    expect(out.startsWith(`packet 1 of 2\n${plain.out}\npacket 2 of 2\nTCP 10.244.1.5:40000`)).toBe(
      true,
    );
  });

  it("says that no more were sent, and exits as the worst of them", async () => {
    const { out, err, exit } = await hopwise(
      "trace batch/job-0 shop/db:5432 -w demo:shop --count 2 -q",
    );
    expect(out).toMatch(/^packet 1 of 1\nDENIED /);
    expect(err).toContain("note: 1 of 2 packets were sent: ");
    expect(exit).toBe(1);
  });

  it("stands beside neither --all nor formats of one packet", async () => {
    const trace = "trace shop/web-0 shop/api:80 -w demo:shop --count 2";
    expect((await hopwise(`${trace} --all`)).exit).toBe(2);
    expect((await hopwise(`${trace} -o svg`)).err).toContain("not as svg");
  });
});
