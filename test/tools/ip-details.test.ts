import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createLinux } from "../../src/tools/stack.js";
import { build, run } from "./tool-fixtures.js";

const golden: { readonly questions: readonly { readonly line: string; readonly text: string }[] } =
  JSON.parse(readFileSync(new URL("../golden/ip-details.json", import.meta.url), "utf8"));

/** Queues are as many as processors, and a timer runs. */
const settled = (text: string): string =>
  text
    .replaceAll(/\bnum([tr])xqueues 2\b/g, "num$1xqueues 1")
    .replaceAll(/\bgc_timer +[\d.]+/g, "gc_timer T")
    .replaceAll("link-netns hw-syn-r-2", "link-netns s");

test("ip -d tells the same of devices and addresses as the real one", () => {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add r
    ip netns add s
    r: ip link set lo up
    r: ip link add br0 address 02:00:00:00:00:09 type bridge
    r: ip link set br0 up
    r: ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns s
    r: ip link set eth0 up
    s: ip link set eth0 up
    r: ip addr add 10.0.1.1/24 dev eth0
    r: ip link add v1 address 02:00:00:00:00:03 type veth peer name v2 address 02:00:00:00:00:04
    r: ip link add vx address 02:00:00:00:00:05 type vxlan id 7 local 10.0.1.1 dstport 4789 nolearning
    r: ip link add vd address 02:00:00:00:00:07 type vxlan id 8 dev eth0 dstport 8472
    r: ip link add mv0 address 02:00:00:00:00:06 link eth0 type macvlan mode bridge
    r: ip link set vx up`,
  );
  const ours = golden.questions.map(({ line }) => settled(run(sim, "r", line).stdout));
  expect(ours).toEqual(golden.questions.map(({ text }) => settled(text)));
});
