import type { Draft, DraftCommand, DraftProbe } from "./draft.js";

/** The same lab over IPv6: addresses, commands, rules and probes in the other family's words. What IPv6 has not is left out. */
export function overIpv6(draft: Draft): Draft {
  return {
    ...draft,
    commands: draft.commands.flatMap(command6),
    listen: draft.listen.map(({ ns, what }) => ({ ns, what: what.replace("/", "6/") })),
    probes: draft.probes.map(probe6),
  };
}

/** 10.1.0.2 is fd00:10:1:0::2, 127.0.0.1 and its like ::1. */
export function address6(address: string): string {
  const [a, b, c, d] = address.split(".");
  return a === "127" ? "::1" : `fd00:${a}:${b}:${c}::${d}`;
}

/** A prefix length of the same meaning: whole numbers of the address are 16 bits each, the last bits stay the last. */
function length6(length: number): number {
  return length <= 24 ? 16 + length * 2 : 96 + length;
}

const ADDRESS = /\b(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?(?::(\d+))?/g;

function text6(text: string): string {
  return text.replace(ADDRESS, (_, address: string, length?: string, port?: string) => {
    const plain = address6(address);
    if (length !== undefined) return `${plain}/${length6(Number(length))}`;
    return port === undefined ? plain : `[${plain}]:${port}`;
  });
}

function probe6(probe: DraftProbe): DraftProbe {
  return { ...probe, to: address6(probe.to) };
}

function command6({ ns, run, rules }: DraftCommand): readonly DraftCommand[] {
  if (rules !== undefined)
    return [{ ns, run: run.replace("iptables", "ip6tables"), rules: rules.map(rule6) }];
  // What a bridge learned before hangs on how quickly it was built: IPv6 talks by itself.
  if (run.endsWith("learning off")) return [];
  if (run.startsWith("sysctl ")) return knob6(run).map((knob) => ({ ns, run: knob }));
  // Two routes to one place that differ in the gateway would be one route with two ways, of which the kernel draws one.
  // An address is tentative for a moment where duplicates may be looked for, and no `src` then.
  const text = text6(run)
    .replace(/^ip route append/, "ip route add")
    .replace(/^ip addr add .*/, "$& nodad");
  return [{ ns, run: text.replace(/^ip (route|rule) /, "ip -6 $1 ") }];
}

/** A knob under its name for IPv6; none where IPv6 has no such knob. */
function knob6(run: string): readonly string[] {
  const found = KNOBS.find(([name]) => name.test(run));
  return found === undefined ? [] : [run.replace(...found)];
}

const KNOBS: readonly (readonly [RegExp, string])[] = [
  [/net\.ipv4\.ip_forward/, "net.ipv6.conf.all.forwarding"],
  [/net\.ipv4\.conf\.(\w+)\.forwarding/, "net.ipv6.conf.$1.forwarding"],
  [/net\.ipv4\.conf\.(\w+)\.proxy_arp/, "net.ipv6.conf.$1.proxy_ndp"],
  [/net\.ipv4\.icmp_echo_ignore_all/, "net.ipv6.icmp.echo_ignore_all"],
  [/net\.ipv4\.(fwmark_reflect|ip_nonlocal_bind)/, "net.ipv6.$1"],
  [/bridge-nf-call-iptables/, "bridge-nf-call-ip6tables"],
  [/net\.netfilter\./, "net.netfilter."],
];

function rule6(line: string): string {
  return WORDS.reduce((text, [from, to]) => text.replace(from, to), text6(line));
}

/** Words of iptables and what says the same, or the nearest thing, of IPv6. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/-p icmp\b/, "-p ipv6-icmp"],
  [/-m icmp\b/g, "-m icmp6"],
  [/--icmp-type 8\b/g, "--icmpv6-type 128"],
  [/--icmp-type 0\b/g, "--icmpv6-type 129"],
  [/--icmp-type 3\/3/g, "--icmpv6-type 1/4"],
  [/--icmp-type 3\/1/g, "--icmpv6-type 1/3"],
  [/--icmp-type 3\b/g, "--icmpv6-type 1"],
  [/--icmp-type 11\b/g, "--icmpv6-type 3"],
  [/--icmp-type any/g, "--icmpv6-type 2"],
  [/--reject-with icmp-(?:net|host)-unreachable/, "--reject-with icmp6-addr-unreachable"],
  [/--reject-with icmp-proto-unreachable/, "--reject-with icmp6-no-route"],
  [/--reject-with icmp-port-unreachable/, "--reject-with icmp6-port-unreachable"],
  [/--reject-with icmp-net-prohibited/, "--reject-with icmp6-policy-fail"],
  [/--reject-with icmp-host-prohibited/, "--reject-with icmp6-reject-route"],
  [/--reject-with icmp-admin-prohibited/, "--reject-with icmp6-adm-prohibited"],
  [/-m ttl\b/g, "-m hl"],
  [/--ttl-(eq|lt|gt)/g, "--hl-$1"],
  [/-j TTL --ttl-/, "-j HL --hl-"],
  [/--ctproto 1\b/g, "--ctproto 58"],
  [/--u32 "0x6&0xff=0x1"/g, '--u32 "0x3&0xff=0x3a"'],
  [/--u32 "0x6&/g, '--u32 "0x3&'],
  [/--u32 "0x0>>[^"]*"/g, '--u32 "0x28&0xffff=0x35,0x50"'],
  [/"\|4500\|" --algo bm --to 2/g, '"|6000|" --algo bm --to 2'],
  [/-type BROADCAST/g, "-type MULTICAST"],
  [/-type (BLACKHOLE|PROHIBIT)/g, "-type ANYCAST"],
  [/--pkt-type broadcast/g, "--pkt-type multicast"],
];
