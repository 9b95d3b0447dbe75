import { ACCEPT, type HookState } from "../../../core/hooks.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { addressesOf } from "../../../inet/addresses.js";
import { assignSocket, type InetSocket } from "../../../inet/assigned-socket.js";
import { addresses6Of } from "../../../inet/ipv6/addresses.js";
import { forget } from "../../../inet/tcp-timer.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../../wire/tcp.js";
import { type IpAddress, isAnyAddress } from "../../../wire/ip.js";
import { andAddress, formatAddress, maskOf, type RuleFamily } from "../addresses.js";
import { type TargetExtension, type TargetResult, defineTarget, isPositive } from "../extension.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
import { establishedFor, flowOfFrame, listenerFor, type LocalFlow } from "../socket-of-packet.js";
import { host, markMask, u16 } from "../values.js";

interface Tproxy {
  readonly port: number;
  readonly address: IpAddress;
  readonly value: number;
  readonly mask: number;
}

const PORT = option("on-port", u16, { must: true });
const IP = option("on-ip", host);
const MARK = option("tproxy-mark", markMask);

/** `-j TPROXY`: hands the packet to a local transparent socket; without one it is dropped. A policy route has to bring it there. */
export const tproxy: TargetExtension = defineTarget<Tproxy>({
  name: "TPROXY",
  mirrors: "net/netfilter/xt_TPROXY.c:tproxy_tg4()",
  fidelity: "exact",
  examples: ["-p tcp|--on-port 3128 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0"],
  options: [PORT, IP, MARK],
  only: { tables: ["mangle"], hooks: ["PREROUTING"] },
  defragments: true,
  parse: (args, { family }) => ({
    port: args.need(PORT).value,
    address: args.value(IP) ?? anyAddress(family),
    ...(args.value(MARK) ?? { value: 0, mask: 0 }),
  }),
  format: ({ port, address, value, mask }) =>
    `--on-port ${port} --on-ip ${formatAddress(address)} --tproxy-mark ${hex(value)}/${hex(mask)}`,
  refuses: (_, { protocol }) => (isPositive(protocol, 6, 17) ? undefined : "Invalid argument"),
  apply(params, skb, state) {
    const flow = flowOfFrame(skb.frame);
    if (flow === undefined || isIcmpError(skb)) return DROP;
    const found = socketOf(params, flow, skb, state);
    if (found === undefined || found.socket.owner.transparent !== true) return DROP;
    skb.mark = ((skb.mark & ~params.mask) ^ params.value) >>> 0;
    assignSocket(skb, found);
    return ACCEPT;
  },
});

const DROP: TargetResult = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };

function isIcmpError({ frame: { transport } }: SkBuff): boolean {
  return transport?.kind !== "tcp" && transport?.kind !== "udp";
}

/** The connection that is there already, else who listens where the rule says. Mirrors net/netfilter/xt_TPROXY.c:tproxy_tg4() and tproxy_tg6_v1(). */
function socketOf(
  { address, port }: Tproxy,
  flow: LocalFlow,
  skb: SkBuff,
  state: HookState,
): InetSocket | undefined {
  const local = isAnyAddress(address) ? (addressOf(state, flow.local) ?? flow.local) : address;
  const asked = { ...flow, local, localPort: port === 0 ? flow.localPort : port };
  const known = establishedFor(flow, state);
  if (known === undefined) return listenerFor(asked, state);
  if (known.kind !== "connection" || known.socket.state !== "TIME_WAIT" || !opens(skb))
    return known;
  // Mirrors nf_tproxy_handle_time_wait4(): a new connection of the same ends.
  const listener = listenerFor(asked, state);
  if (listener !== undefined) forget(known.socket);
  return listener ?? known;
}

function opens({ frame: { transport } }: SkBuff): boolean {
  return (
    transport?.kind === "tcp" &&
    (transport.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) === TCP_SYN
  );
}

/** The first address of the device the packet came by. Mirrors nf_tproxy_laddr4() and nf_tproxy_laddr6(). */
function addressOf({ in: dev }: HookState, like: IpAddress): IpAddress | undefined {
  if (dev === undefined) return undefined;
  if (typeof like === "number") return addressesOf(dev).find(({ secondary }) => !secondary)?.local;
  return addresses6Of(dev).find(({ tentative, deprecated }) => !tentative && !deprecated)?.address;
}

function anyAddress(family: RuleFamily): IpAddress {
  const none = maskOf(0, family);
  return andAddress(none, none);
}
