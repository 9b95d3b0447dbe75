import type { Protocol, RulePlace } from "./matches.js";
import { mark } from "./matches.js";
import { serverPorts, subnet } from "./network.js";

/** `-j TARGET` for a place; the empty string for a rule that only counts. `chains` are those it may jump to. */
export function targetWords(
  place: RulePlace,
  protocol: Protocol,
  chains: readonly string[],
): string {
  const { choose } = place.network;
  if (choose.chance(0.12)) return "";
  if (chains.length > 0 && choose.chance(0.3))
    return `${choose.chance(0.25) ? "-g" : "-j"} ${choose.one(chains)}`;
  if (choose.chance(place.table === "nat" ? 0.15 : 0.3))
    return `-j ${choose.one(place.table === "nat" ? ["ACCEPT", "RETURN"] : ["ACCEPT", "ACCEPT", "RETURN", "DROP"])}`;
  switch (place.table) {
    case "raw":
      return choose.one([
        "-j CT --notrack",
        "-j NOTRACK",
        "-j CT --zone 5",
        "-j MARK --set-xmark 0x1/0xffffffff",
        "-j CT --notrack",
      ]);
    case "mangle":
      return mangle(place, protocol);
    case "nat":
      return nat(place, protocol);
    case "filter":
    case "security":
      return filter(place, protocol);
  }
}

function marks(place: RulePlace): string {
  const { choose } = place.network;
  return choose.one([
    `-j MARK --set-mark ${mark(place)}`,
    `-j MARK --set-xmark ${mark(place)}`,
    "-j MARK --or-mark 0x10",
    "-j MARK --and-mark 0xf",
    "-j MARK --xor-mark 0x3",
    `-j CONNMARK --set-mark ${mark(place)}`,
    "-j CONNMARK --save-mark",
    "-j CONNMARK --restore-mark",
    "-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xf",
  ]);
}

function mangle(place: RulePlace, protocol: Protocol): string {
  const { choose } = place.network;
  if (choose.chance(0.5)) return marks(place);
  const makers = [
    "-j TOS --set-tos 0x10/0xff",
    "-j TOS --set-tos 0x08/0x00",
    "-j DSCP --set-dscp 0x0c",
    "-j TTL --ttl-set 5",
    "-j TTL --ttl-inc 1",
    "-j TTL --ttl-dec 1",
    "-j TTL --ttl-set 64",
  ];
  if (protocol === "tcp")
    makers.push(
      "-j TCPOPTSTRIP --strip-options 2,3",
      "-j ECN --ecn-tcp-remove",
      "-j CHECKSUM --checksum-fill",
    );
  if (protocol === "udp") makers.push("-j CHECKSUM --checksum-fill");
  if (place.hook === "POSTROUTING" || place.hook === "FORWARD")
    makers.push("-j CLASSIFY --set-class 1:2");
  return `${choose.one(makers)}`;
}

function filter(place: RulePlace, protocol: Protocol): string {
  const { choose } = place.network;
  const security = place.table === "security";
  const makers: (() => string)[] = [
    () => "-j LOG",
    () => "-j NFLOG --nflog-group 30",
    () => marks(place),
    () => "-j DROP",
    () => "-j ACCEPT",
  ];
  if (!security)
    makers.push(
      () => reject(place, protocol),
      () => reject(place, protocol),
    );
  return choose.make(makers);
}

function reject({ network }: RulePlace, protocol: Protocol): string {
  const { choose } = network;
  const kinds = [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
  ];
  if (protocol === "tcp" && choose.chance(0.5)) return "-j REJECT --reject-with tcp-reset";
  return `-j REJECT --reject-with ${choose.one(kinds)}`;
}

/** NAT of one address and at most one port, so that nothing is left to chance. */
function nat(place: RulePlace, protocol: Protocol): string {
  const { network, hook } = place;
  const { choose, addresses } = network;
  const { address } = choose.one(addresses);
  const own = choose.one([...network.of(place.ns), { address }]);
  const port = choose.one(serverPorts);
  const ported = protocol === "tcp" || protocol === "udp";
  switch (hook) {
    case "PREROUTING":
    case "OUTPUT":
      return choose.make([
        () =>
          `-j DNAT --to-destination ${address}${ported && choose.chance(0.6) ? `:${port}` : ""}`,
        () =>
          `-j DNAT --to-destination ${address}${ported && choose.chance(0.6) ? `:${port}` : ""}`,
        () => (ported && choose.chance(0.6) ? `-j REDIRECT --to-ports ${port}` : "-j REDIRECT"),
        () => `-j NETMAP --to ${subnet(address)}.0/24`,
      ]);
    case "POSTROUTING":
      return choose.make([
        () => "-j MASQUERADE",
        () => "-j MASQUERADE",
        () => `-j SNAT --to-source ${choose.chance(0.7) ? own.address : address}`,
        () =>
          ported
            ? `-j SNAT --to-source ${address}:${choose.between(50_000, 50_009)}`
            : "-j MASQUERADE",
        () => `-j NETMAP --to ${subnet(address)}.0/24`,
      ]);
    case "INPUT":
      return `-j SNAT --to-source ${address}`;
    default:
      return choose.one(["-j ACCEPT", "-j RETURN", "-j MARK --set-xmark 0x1/0xffffffff"]);
  }
}
