import { expect, test } from "vitest";
import { cat } from "../../src/tools/cat.js";
import { rig, udp } from "../netfilter/rig.js";

test("cat tells what the kernel's files say of connections, and knows no other files", () => {
  const router = rig();
  router.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
  const context = { sim: router.sim, ns: "router", stdin: "", stdinName: undefined };
  expect(cat.run(["/proc/net/nf_conntrack", "/proc/net/nf_conntrack_expect"], context)).toEqual({
    code: 0,
    stdout:
      "ipv4     2 udp      17 30 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=53 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=53 dport=5555 mark=0 zone=0 use=2\n",
    stderr: "",
  });
  expect(cat.run(["/etc/passwd"], context)).toEqual({
    code: 1,
    stdout: "",
    stderr: "cat: /etc/passwd: No such file or directory\n",
  });
});
