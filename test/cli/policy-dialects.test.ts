import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

/** The verdict line of a trace under a dialect. */
async function verdict(request: string, dialect: string): Promise<string> {
  return (await hopwise(`trace ${request} -w demo:shop -q --dialect ${dialect}`)).out.trimEnd();
}

describe("a trace, whose rules are kube-router's, under another dialect", () => {
  it("stands where both judge and refuse alike", async () => {
    expect(await verdict("shop/api-0 shop/db:5432", "calico")).toBe("DELIVERED");
    expect(await verdict("batch/job-0 shop/db:5432", "kube-router")).toContain("DENIED");
    expect(await verdict("batch/job-0 shop/db:5432", "calico,refusal=reject")).toContain("DENIED");
  });

  it("is not certain where the plugin refuses otherwise", async () => {
    expect(await verdict("batch/job-0 shop/db:5432", "calico")).toBe(
      "UNKNOWN  the rules are kube-router's, which refuse with an ICMP error; under dialect calico refused clients hear nothing",
    );
  });

  it("is not certain where the plugin judges otherwise", async () => {
    expect(await verdict("worker-2 shop/db-0:5432", "default,ingressFromOwnNode=evaluate")).toBe(
      "UNKNOWN  the rules are kube-router's, and dialect default,ingressFromOwnNode=evaluate judges it otherwise: the pod's own node is policed",
    );
    expect(await verdict("shop/web-0 shop/db-0 --proto icmp", "default")).toContain(
      "judges it otherwise: ICMP needs a rule without ports",
    );
  });

  it("says whose rules refused when nobody asked", async () => {
    expect((await hopwise("trace batch/job-0 shop/db:5432 -w demo:shop -q")).err).toContain(
      "note: policies are kube-router's rules; --dialect asks about other plugins",
    );
  });
});

describe("--dialect", () => {
  it.each([
    ["calicoo", 'there is no dialect "calicoo"', "did you mean calico?"],
    ["calico,refussal=drop", 'no switch of a dialect "refussal"', "did you mean refusal?"],
    ["refusal=drpo", 'no value of refusal "drpo"', "did you mean drop?"],
    ["endPort=maybe", 'no value of endPort "maybe"', "there are true, false"],
  ])("%s is refused with the nearest word", async (dialect, what, help) => {
    const { exit, err } = await hopwise(`matrix -w demo:shop --dialect ${dialect}`);
    expect(exit).toBe(2);
    expect(err).toContain(what);
    expect(err).toContain(help);
  });

  it("states every switch with -v", async () => {
    const { err } = await hopwise("matrix -w demo:shop -v --dialect kube-router,endPort=false");
    expect(err).toContain("note: dialect kube-router,endPort=false takes for granted:\n");
    expect(err.trimEnd().split("\n")).toHaveLength(13);
    expect(err).toContain("  ICMP and other protocols are allowed\n");
    expect(err).toContain("  endPort is not supported\n");
  });
});
