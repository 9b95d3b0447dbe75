import { describe, expect, test } from "vitest";
import { labelNames, setLabel } from "../../src/netfilter/conntrack/labels.js";
import { conntrackTool } from "../../src/tools/conntrack.js";
import type { ToolResult } from "../../src/tools/command.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { type Rig, rig, tcp, udp } from "../netfilter/rig.js";

/** Lines and words below were recorded from conntrack 1.4.7 on Linux 6.18; ids and clocks are ours. */
const PREFIX = "conntrack v1.4.7 (conntrack-tools): ";

function conntrack(router: Rig, line: string): ToolResult {
  const args = line.split(" ").filter((word) => word !== "");
  return conntrackTool.run(args, {
    sim: router.sim,
    ns: "router",
    stdin: "",
    stdinName: undefined,
  });
}

/** What a line says: standard output, and what stands on standard error behind the program's name. */
function says(router: Rig, line: string): readonly [number, string, string] {
  const { code, stdout, stderr } = conntrack(router, line);
  const [first = ""] = stderr.replaceAll(PREFIX, "").split("\nTry ");
  return [code, stdout.trimEnd(), first.trimEnd()];
}

const UDP =
  "udp      17 100 src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 sport=20 dport=10 mark=0 use=";

describe("conntrack -I", () => {
  test("makes an entry, once", () => {
    const router = rig();
    const line = "-I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 -t 100";
    expect(says(router, line)).toEqual([0, "", "1 flow entries have been created."]);
    expect(router.list()).toEqual([`${UDP}1`]);
    const failed = "Operation failed: Such conntrack exists, try -U to update";
    expect(says(router, line)).toEqual([1, "", failed]);
    const added = line.replace("-I", "-A");
    expect(says(router, added)).toEqual([0, "", "0 flow entries have been added."]);
  });

  test.each([
    [
      "-s 1.1.1.3 -d 2.2.2.2 -p udp --sport 10 --dport 20 -g 9.9.9.9",
      "udp      17 100 src=1.1.1.3 dst=2.2.2.2 sport=10 dport=20 [UNREPLIED] src=9.9.9.9 dst=1.1.1.3 sport=20 dport=10 mark=0 use=1",
    ],
    [
      "-s 1.1.1.4 -d 2.2.2.2 -p udp --sport 10 --dport 20 -n 9.9.9.9:99 -u SEEN_REPLY",
      "udp      17 100 src=1.1.1.4 dst=2.2.2.2 sport=10 dport=20 src=2.2.2.2 dst=9.9.9.9 sport=20 dport=99 mark=0 use=1",
    ],
    [
      "-s 1.1.1.4 -d 2.2.2.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 9",
      "icmp     1 100 src=1.1.1.4 dst=2.2.2.2 type=8 code=0 id=9 [UNREPLIED] src=2.2.2.2 dst=1.1.1.4 type=0 code=0 id=9 mark=0 use=1",
    ],
    [
      "-s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 20 --state ESTABLISHED -u ASSURED -m 7",
      "tcp      6 100 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 sport=20 dport=10 [ASSURED] mark=7 use=1",
    ],
    [
      "-s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 1 --dport 2 --state SYN_SENT -w 3 -m 0x10",
      "tcp      6 100 SYN_SENT src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 sport=2 dport=1 mark=16 zone=3 use=1",
    ],
    [
      "-s 1.1.1.3 -d 2.2.2.2 -p 50",
      "unknown  50 100 src=1.1.1.3 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.3 mark=0 use=1",
    ],
    [
      "-r 1.1.1.6 -q 2.2.2.2 -p udp --reply-port-src 1 --reply-port-dst 2",
      "udp      17 100 src=2.2.2.2 dst=1.1.1.6 sport=2 dport=1 [UNREPLIED] src=1.1.1.6 dst=2.2.2.2 sport=1 dport=2 mark=0 use=1",
    ],
  ])("%s", (options, line) => {
    const router = rig();
    // A protocol stands before its ports on the command line.
    const [, protocol = ""] = /(-p \S+)/.exec(options) ?? [];
    expect(conntrack(router, `-I ${protocol} ${options} -t 100`).code).toBe(0);
    expect(router.list()).toEqual([line]);
  });

  test.each([
    ["-s 1.1.1.1 -d 2.2.2.2", 2, "You need to supply the `--protonum' option for this command"],
    [
      "-p udp -s 1.1.1.9 -d 2.2.2.2 --sport 10 --dport 20",
      2,
      "You need to supply the `--timeout' option for this command",
    ],
    ["-p udp -s 1.1.1.6 --sport 1 --dport 2 -t 5", 2, "you have to specify `--src' and `--dst'"],
    [
      "-p udp -s 1.1.1.6 -d 2.2.2.2 --sport 1 -t 5",
      2,
      "you have to specify `--sport' and `--dport'",
    ],
    [
      "-p tcp -s 1.1.1.6 -d 2.2.2.2 --sport 1 --dport 2 -t 5",
      2,
      "You need to supply the `--state' option for this command",
    ],
    [
      "-p udp -s 1.1.1.7 -d 2.2.2.2 --sport 1 --dport 2 -t 50 -u ASSURED,EXPECTED",
      1,
      "Operation failed: Device or resource busy",
    ],
    [
      "-p udp -s 1.1.1.7 -d 2.2.2.2 --sport 1 --dport 2 -t 50 -n 5.5.5.5:77-78",
      2,
      "Invalid port `77-78'",
    ],
  ])("%s is refused", (options, code, words) => {
    const router = rig();
    expect(says(router, `-I ${options}`)).toEqual([code, "", words]);
    expect(router.list()).toEqual([]);
  });
});

describe("conntrack -G", () => {
  test("shows the one entry of an original tuple, with a reference of its own", () => {
    const router = rig();
    conntrack(router, "-I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 -t 100");
    const shown = says(router, "-G -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20");
    expect(shown).toEqual([0, `${UDP}2`, "1 flow entries have been shown."]);
    expect(says(router, "-G -p udp -s 2.2.2.2 -d 1.1.1.1 --sport 20 --dport 10")[2]).toBe(
      "0 flow entries have been shown.",
    );
    expect(says(router, "-G -p udp -s 1.1.1.7 -d 2.2.2.2 --sport 10 --dport 20")).toEqual([
      1,
      "",
      "Operation failed: such conntrack doesn't exist",
    ]);
    expect(says(router, "-G")[2]).toBe(
      "You need to supply the `--protonum' option for this command",
    );
    expect(says(router, "-G -p udp -s 1.1.1.1/24 -d 2.2.2.2")[2]).toBe(
      "Illegal option `--mask-src' with this command",
    );
    expect(says(router, "-G -p icmp -s 1.1.1.1 -d 2.2.2.2")[2]).toBe(
      "You need to supply the `--icmp-type' option for this command",
    );
  });
});

describe("conntrack -U", () => {
  function world(): Rig {
    const router = rig();
    router.forward(udp("10.1.0.2:4000", "10.2.0.2:53"));
    router.forward(tcp("10.1.0.2:4001", "10.2.0.2:80", "S", { seq: 1 }));
    return router;
  }

  test.each([
    ["-m 9", /mark=9 use=2$/],
    ["-m 0x6/0xf", /mark=6 use=2$/],
    ["-t 77", /^udp {6}17 77 /],
    ["-u SEEN_REPLY,ASSURED", /dport=53 src=10.2.0.2 .* \[ASSURED\] mark=0 use=2$/],
  ])("%s changes what fits", (options, shown) => {
    const router = world();
    const [code, stdout, stderr] = says(router, `-U -s 10.1.0.2 -p udp ${options}`);
    expect([code, stderr]).toEqual([0, "1 flow entries have been updated."]);
    expect(stdout).toMatch(shown);
    expect(router.list()[0]?.replace("use=1", "use=2")).toBe(stdout);
  });

  test("counts only what was otherwise before", () => {
    const router = world();
    conntrack(router, "-U -s 10.1.0.2 -m 9");
    const again = says(router, "-U -s 10.1.0.2 -m 9");
    expect(again).toEqual([1, "", "0 flow entries have been updated."]);
    expect(says(router, "-U")).toEqual([1, "", "0 flow entries have been updated."]);
  });

  test("without a family the kernel does not know the entry", () => {
    const router = world();
    expect(says(router, "-U -p udp --dport 53 -m 9")).toEqual([
      1,
      "",
      "Operation failed: Operation not supported\nOperation failed: Operation not supported",
    ]);
    expect(router.list()[0]).toContain("mark=0");
  });

  test("FIXED_TIMEOUT is kept, whatever comes", () => {
    const router = world();
    conntrack(router, "-U -s 10.1.0.2 -p udp -u FIXED_TIMEOUT -t 5");
    router.wait(3);
    router.forward(udp("10.1.0.2:4000", "10.2.0.2:53"));
    expect(router.list()[0]).toMatch(/^udp {6}17 2 /);
  });
});

describe("labels", () => {
  function world(): Rig {
    const router = rig();
    router.forward(udp("10.1.0.2:4000", "10.2.0.2:53"));
    router.forward(udp("10.1.0.2:4000", "10.2.0.2:54"));
    const [first] = router.table.entries();
    if (first !== undefined) setLabel(first, 3);
    return router;
  }

  test("have no names without their file", () => {
    const router = world();
    const [code, stdout, stderr] = says(router, "-L -o labels");
    expect([code, stderr]).toEqual([
      0,
      "nfct_labelmap_new: No such file or directory\n2 flow entries have been shown.",
    ]);
    expect(stdout).not.toContain("labels");
    expect(says(router, "-L -l three")).toEqual([
      2,
      "",
      "nfct_labelmap_new: No such file or directory\nunknown label 'three'",
    ]);
  });

  test("are shown and chosen by the names of /etc/xtables/connlabel.conf", () => {
    const router = world();
    labelNames("# c\n1 one\n3 three\n\n0x7 seven\n130 big\n").init(router.ns);
    expect(says(router, "-L -o labels,id")[1]).toMatch(/id=1 labels=three\nudp .* id=2$/);
    expect(says(router, "-L -l three")[1]).toMatch(/dport=53 .* labels=three$/);
    expect(says(router, "-L -l three,one")[1]).toBe("");
    expect(says(router, "-L -l nope")).toEqual([2, "", "unknown label 'nope'"]);
    expect(says(router, "-L -o xml,labels -l three")[1]).toContain(
      "<mark>0</mark><labels><label>three</label></labels><use>1</use><id>1</id>",
    );
  });
});

test("rules take and print the names of labels", () => {
  const sim = createLinux({ seed: 1, connlabelConf: "1 one\n0x7 seven\n5 fi ve\n" });
  sim.createNamespace("node");
  const run = (...argv: readonly string[]): ToolResult => runTool(sim, { ns: "node", argv });
  for (const label of ["seven", "1", "5", "100"])
    run("iptables", "-A", "FORWARD", "-m", "connlabel", "--label", label);
  const rules = run("iptables-save", "-t", "filter").stdout.match(/(?<=--label ).*/g);
  expect(rules).toEqual(['"seven"', '"one"', '"fi ve"', '"100"']);
  const refused = run("iptables", "-A", "FORWARD", "-m", "connlabel", "--label", "SEVEN");
  expect(refused.stderr).toContain("label 'SEVEN' not found or invalid value");
});

describe("other outputs", () => {
  test("-o save is what -I takes, alone", () => {
    const router = rig();
    router.forward(udp("10.1.0.2:4000", "10.2.0.2:53"));
    expect(says(router, "-L -o save")[1]).toBe(
      "-A -t 30 -u UNSET -s 10.1.0.2 -d 10.2.0.2 -r 10.2.0.2 -q 10.1.0.2 -p udp --sport 4000 --dport 53 --reply-port-src 53 --reply-port-dst 4000",
    );
    expect(says(router, "-L -o save,id")).toEqual([
      1,
      "",
      "cannot combine save output with any other output type, use -o save only",
    ]);
    expect(says(router, "-D -o sa")[1]).toMatch(/^-D -t 30 -u UNSET /);
  });

  test("-o xml, extended and ktimestamp", () => {
    const router = rig();
    router.ns.sysctls.find("net.netfilter.nf_conntrack_timestamp")?.set("1");
    router.ns.sysctls.find("net.netfilter.nf_conntrack_acct")?.set("1");
    router.forward(udp("10.1.0.2:4000", "10.2.0.2:53"));
    router.wait(2);
    expect(says(router, "-L -o ext,ktime")[1]).toBe(
      "ipv4     2 udp      17 28 src=10.1.0.2 dst=10.2.0.2 sport=4000 dport=53 packets=1 bytes=28 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=53 dport=4000 packets=0 bytes=0 mark=0 delta-time=2 [start=Thu Jan  1 00:00:00 1970] use=1",
    );
    expect(says(router, "-L -o xml")[1]).toBe(
      `<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>10.1.0.2</src><dst>10.2.0.2</dst></layer3><layer4 protonum="17" protoname="udp"><sport>4000</sport><dport>53</dport></layer4><counters><packets>1</packets><bytes>28</bytes></counters></meta><meta direction="reply"><layer3 protonum="2" protoname="ipv4"><src>10.2.0.2</src><dst>10.1.0.2</dst></layer3><layer4 protonum="17" protoname="udp"><sport>53</sport><dport>4000</dport></layer4><counters><packets>0</packets><bytes>0</bytes></counters></meta><meta direction="independent"><timeout>28</timeout><mark>0</mark><use>1</use><id>1</id><unreplied/><deltatime>2</deltatime></meta></flow>\n</conntrack>`,
    );
    conntrack(router, "-L -z");
    expect(says(router, "-L")[1]).toContain("packets=0 bytes=0 [UNREPLIED]");
  });

  test.each([
    ["-L -u UNSET", 1, "Operation failed: invalid parameters"],
    [
      "-L -u SRC_NAT",
      1,
      "WARNING: ignoring SRC_NAT, use --src-nat instead\nOperation failed: invalid parameters",
    ],
    ["-L -u CONFIRMED", 2, "Bad parameter `CONFIRMED'"],
    ["-L -t 5", 2, "Illegal option `--timeout' with this command"],
    ["-L -e NEW", 2, "Illegal option `--event-mask' with this command"],
    ["-L --mask-dst 255.255.255.0", 2, "Can't use --mask-dst without --dst"],
    ["-L expect -p tcp", 2, "Illegal option `--protonum' with this command"],
    ["-E -u ASSURED", 2, "Illegal option `--status' with this command"],
    ["-E expect -e NEW", 2, "Illegal option `--event-mask' with this command"],
    ["-E -e FOO", 2, "Bad parameter `FOO'"],
    ["-F -s 1.1.1.1", 2, "Illegal option `--src' with this command"],
  ])("%s is refused in the tool's words", (line, code, words) => {
    expect(says(rig(), line)).toEqual([code, "", words]);
  });
});
