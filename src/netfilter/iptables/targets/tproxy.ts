import type { IpAddress } from "../../../wire/ip.js";
import { andAddress, formatAddress, maskOf, type RuleFamily } from "../addresses.js";
import { type TargetExtension, defineTarget, isPositive } from "../extension.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
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

/** `-j TPROXY`: hands the packet to a local transparent socket. */
export const tproxy: TargetExtension = defineTarget<Tproxy>({
  name: "TPROXY",
  mirrors: "net/netfilter/xt_TPROXY.c:tproxy_tg4()",
  fidelity: "unmodelled",
  examples: ["-p tcp|--on-port 3128 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0"],
  options: [PORT, IP, MARK],
  only: { tables: ["mangle"], hooks: ["PREROUTING"] },
  parse: (args, { family }) => ({
    port: args.need(PORT).value,
    address: args.value(IP) ?? anyAddress(family),
    ...(args.value(MARK) ?? { value: 0, mask: 0 }),
  }),
  format: ({ port, address, value, mask }) =>
    `--on-port ${port} --on-ip ${formatAddress(address)} --tproxy-mark ${hex(value)}/${hex(mask)}`,
  refuses: (_, { protocol }) => (isPositive(protocol, 6, 17) ? undefined : "Invalid argument"),
});

function anyAddress(family: RuleFamily): IpAddress {
  const none = maskOf(0, family);
  return andAddress(none, none);
}
