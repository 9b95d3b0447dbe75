import { describe, expect, test } from "vitest";
import { conntrackTool } from "../../src/tools/conntrack.js";
import type { ToolResult } from "../../src/tools/command.js";
import { type Rig, icmp, rig, tcp, udp } from "../netfilter/rig.js";

function world(): Rig {
  const router = rig();
  router.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
  router.forward(tcp("10.1.0.3:6667", "10.2.0.2:80", "S", { seq: 1 }));
  router.forward(icmp("10.1.0.2", "10.2.0.2", 8, 77));
  return router;
}

function conntrack(router: Rig, line: string): ToolResult {
  const args = line.split(" ").filter((word) => word !== "");
  return conntrackTool.run(args, {
    sim: router.sim,
    ns: "router",
    stdin: "",
    stdinName: undefined,
  });
}

const PREFIX = "conntrack v1.4.7 (conntrack-tools): ";
const UDP =
  "udp      17 30 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=53 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=53 dport=5555 mark=0 use=1\n";
const TCP =
  "tcp      6 120 SYN_SENT src=10.1.0.3 dst=10.2.0.2 sport=6667 dport=80 [UNREPLIED] src=10.2.0.2 dst=10.1.0.3 sport=80 dport=6667 mark=0 use=1\n";
const ICMP =
  "icmp     1 30 src=10.1.0.2 dst=10.2.0.2 type=8 code=0 id=77 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 type=0 code=0 id=77 mark=0 use=1\n";

describe("conntrack", () => {
  test("-L lists every entry and tells on standard error how many", () => {
    expect(conntrack(world(), "-L")).toEqual({
      code: 0,
      stdout: UDP + TCP + ICMP,
      stderr: `${PREFIX}3 flow entries have been shown.\n`,
    });
  });

  test.each([
    ["-L -p udp", UDP],
    ["-L -p 6", TCP],
    ["-L -ptcp --state SYN_SENT", TCP],
    ["-L -p tcp --state established", ""],
    ["-L -s 10.1.0.2", UDP + ICMP],
    ["-L --src=10.1.0.3", TCP],
    ["-L -s 10.1.0.0/24 -d 10.2.0.2", UDP + TCP + ICMP],
    ["-L -r 10.2.0.2 -q 10.1.0.3", TCP],
    ["-L -p udp --dport 53", UDP],
    ["-L -p udp --orig-port-src 5556", ""],
    ["-L -p icmp --icmp-id 77", ICMP],
    ["-L -u UNREPLIED", UDP + TCP + ICMP],
    ["-L -u SEEN_REPLY", ""],
    ["-L -m 0", UDP + TCP + ICMP],
    ["-L -m 1", ""],
    ["-L -w 5", ""],
    ["-L -n", ""],
    ["-L -f ipv6", ""],
    ["-L conntrack -p udp", UDP],
    ["-L unconfirmed", ""],
    ["-L -p udp -o extended", `ipv4     2 ${UDP}`],
    ["-L -p udp -o id", UDP.replace("\n", " id=1\n")],
  ])("%s shows what fits", (line, shown) => {
    const result = conntrack(world(), line);
    expect([result.code, result.stdout]).toEqual([0, shown]);
  });

  test("-D shows what it deletes, and fails when that is nothing", () => {
    const router = world();
    expect(conntrack(router, "-D -p udp")).toEqual({
      code: 0,
      stdout: UDP,
      stderr: `${PREFIX}1 flow entries have been deleted.\n`,
    });
    expect(conntrack(router, "-D -p udp")).toEqual({
      code: 1,
      stdout: "",
      stderr: `${PREFIX}0 flow entries have been deleted.\n`,
    });
    expect(conntrack(router, "-C").stdout).toBe("2\n");
  });

  test("-F empties the table, -C counts, -S shows the counters", () => {
    const router = world();
    expect(conntrack(router, "-F")).toEqual({
      code: 0,
      stdout: "",
      stderr: `${PREFIX}connection tracking table has been emptied.\n`,
    });
    expect(conntrack(router, "-C")).toEqual({ code: 0, stdout: "0\n", stderr: "" });
    router.forward(icmp("10.1.0.2", "10.2.0.2", 0, 77));
    expect(conntrack(router, "-S").stdout).toBe(
      "cpu=0   \tfound=0 invalid=1 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n",
    );
  });

  // The words of conntrack-tools 1.4.7.
  test.each([
    ["-L -x", "unknown option `-x'"],
    ["-L --bogus", "unknown option `--bogus'"],
    ["-L -p udp --state X", "unknown option `--state'"],
    ["-L --dport 53", "unknown option `--dport'"],
    ["-L -p tcp --state FOO", "unknown TCP state `FOO'"],
    ["-L -p foo", "`foo' unsupported protocol"],
    ["-L -p 300", "`300' unsupported protocol"],
    ["-L -f ipx", "`ipx' unsupported protocol"],
    ["-L -s bad", "Invalid IP address `bad'"],
    ["-L -s 10.1.0.2/40", "Invalid netmask"],
    ["-L -s", "option `-s' requires an argument"],
    ["-L -D", "Invalid commands combination"],
    ["-L foo", "unknown type `foo'"],
    ["-L -u FOO", "Bad parameter `FOO'"],
    ["-L -o bogus", "Bad parameter `bogus'"],
    ["-C -p tcp", "Illegal option `--protonum' with this command"],
    ["-F -p tcp", "Illegal option `--protonum' with this command"],
  ])("%s is refused in the tool's words", (line, message) => {
    expect(conntrack(world(), line)).toEqual({
      code: 2,
      stdout: "",
      stderr: `${PREFIX}${message}\nTry \`conntrack -h' or 'conntrack --help' for more information.\n`,
    });
  });
});
