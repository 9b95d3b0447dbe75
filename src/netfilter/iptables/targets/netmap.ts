import type { IpAddress } from "../../../wire/ip.js";
import { netmap as netmapPacket } from "../../nat/targets.js";
import {
  addressBits,
  andAddress,
  formatAddress,
  maskOf,
  parseAddress,
  prefixLength,
} from "../addresses.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";

interface Network {
  readonly address: IpAddress;
  readonly length: number;
}

const TO = option("to", readNetwork, { must: true });

/** `-j NETMAP`: another network, the same host part. */
export const netmap: TargetExtension = defineTarget<Network>({
  name: "NETMAP",
  mirrors: "net/netfilter/xt_NETMAP.c:netmap_tg4()",
  fidelity: "exact",
  examples: ["--to 10.5.0.0/16", "--to 10.5.0.1/32"],
  options: [TO],
  only: { tables: ["nat"], hooks: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] },
  tracks: true,
  parse: (args) => args.need(TO).value,
  format: ({ address, length }) => `--to ${formatAddress(address)}/${length}`,
  apply: (to, skb, state) => netmapPacket(skb, state, to),
});

/** A mask that is no prefix is taken for a whole one. */
function readNetwork(text: string, { owner, option: name, context }: OptionUse): Network {
  const { family } = context;
  const [host = "", maskText] = text.split("/");
  const address = parseAddress(host, family);
  if (address === undefined) throw refuse(`getaddrinfo: Name or service not known\n`);
  const bits = addressBits(family);
  if (maskText === undefined) return { address, length: bits };
  const mask = parseAddress(maskText, family);
  const dotted = mask === undefined ? undefined : (prefixLength(mask) ?? bits);
  const length = parseNumber(maskText, 0, bits) ?? dotted;
  if (length === undefined)
    throw refuse(
      `${owner}: bad value for option "--${name}", neither a valid network mask nor valid CIDR (0-${bits}).\n`,
    );
  return { address: andAddress(address, maskOf(length, family)), length };
}
