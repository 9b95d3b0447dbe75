import type { IpAddress } from "../../../wire/ip.js";
import { formatAddress } from "../addresses.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { host, string } from "../values.js";

interface Tee {
  readonly gateway: IpAddress;
  readonly oif: string | undefined;
}

const GATEWAY = option("gateway", host, { must: true });
const OIF = option("oif", string(1, 15));

/** `-j TEE`: sends a copy to another host. */
export const tee: TargetExtension = defineTarget<Tee>({
  name: "TEE",
  mirrors: "net/netfilter/xt_TEE.c:tee_tg4()",
  fidelity: "unmodelled",
  examples: ["--gateway 10.0.0.9", "--gateway 10.0.0.9 --oif lo"],
  options: [GATEWAY, OIF],
  parse: (args) => ({ gateway: args.need(GATEWAY).value, oif: args.value(OIF) }),
  format: ({ gateway, oif }) =>
    `--gateway ${formatAddress(gateway)}${oif === undefined ? "" : ` --oif ${oif}`}`,
});
