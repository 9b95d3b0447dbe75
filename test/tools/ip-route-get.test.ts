import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createLinux } from "../../src/tools/stack.js";
import { build, run } from "./tool-fixtures.js";

interface Part {
  readonly title: string;
  readonly questions: readonly {
    readonly line: string;
    readonly text: string;
    readonly code: number;
  }[];
}

const golden: { readonly rules: readonly Part[]; readonly kinds: readonly Part[] } = JSON.parse(
  readFileSync(new URL("../golden/ip-route-get-iif.json", import.meta.url), "utf8"),
);

const setUp = `ip netns add r
  r: ip link set lo up
  r: ip link add eth0 type veth peer name p0
  r: ip link add eth1 type veth peer name p1
  r: ip link set p0 up
  r: ip link set p1 up
  r: ip link set eth0 up
  r: ip link set eth1 up
  r: ip addr add 10.0.1.1/24 dev eth0
  r: ip addr add 10.0.2.1/24 dev eth1
  r: ip route add 10.9.0.0/16 via 10.0.2.9
  r: ip route add 10.4.0.0/16 via 10.0.1.4 table 100
  r: sysctl -qw net.ipv4.ip_forward=1`;

test("the table is named from the first change of a rule on, for local packets and for those that come in", () => {
  const before: Readonly<Record<string, string>> = {
    "no rules": "",
    "rule added": "r: ip rule add fwmark 7 lookup 100",
    "rule deleted": "r: ip rule del fwmark 7 lookup 100",
  };
  expect(answers(golden.rules, setUp, before)).toEqual(told(golden.rules));
});

test("packets that come in are told of their way, or of why they have none", () => {
  const more = `${setUp}
    r: ip route add 10.8.0.0/16 via 10.0.2.8 dev eth1 src 10.0.2.1
    r: ip route add unreachable 10.7.0.0/16
    r: ip route add blackhole 10.6.0.0/16
    r: ip route add prohibit 10.5.0.0/16
    r: ip rule add fwmark 7 lookup 100
    r: ip rule add iif eth0 from 10.0.1.77 lookup 100 pref 50`;
  const before: Readonly<Record<string, string>> = {
    "forward off": "r: sysctl -qw net.ipv4.ip_forward=0",
    "forward on": "r: sysctl -qw net.ipv4.ip_forward=1",
    "rp_filter 1": "r: sysctl -qw net.ipv4.conf.all.rp_filter=1",
  };
  expect(answers(golden.kinds, more, before)).toEqual(told(golden.kinds));
});

/** What our `ip` says to every question of the parts, each part after a command. */
function answers(
  parts: readonly Part[],
  commands: string,
  before: Readonly<Record<string, string>>,
): readonly string[] {
  const sim = createLinux({ seed: 1 });
  build(sim, commands);
  return parts.flatMap(({ title, questions }) => {
    build(sim, before[title] ?? "");
    return questions.map(({ line }) => {
      const { stdout, stderr, code } = run(sim, "r", line);
      return `${title}: ${line}\n${stdout}${stderr}= ${code}`;
    });
  });
}

function told(parts: readonly Part[]): readonly string[] {
  return parts.flatMap(({ title, questions }) =>
    questions.map(({ line, text, code }) => `${title}: ${line}\n${text}= ${code}`),
  );
}
