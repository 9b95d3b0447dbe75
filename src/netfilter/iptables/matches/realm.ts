import { type MatchExtension, defineMatch } from "../extension.js";
import { formatNamed, type NamedMask, readNamed } from "../named-numbers.js";
import { option } from "../options.js";
import { formatTest, type Negatable } from "../values.js";

/** /etc/iproute2/rt_realms. */
const REALMS: ReadonlyMap<string, number> = new Map([["cosmos", 0]]);

const REALM = option("realm", readNamed(REALMS), { not: true, must: true });

/** `-m realm`: the realms of the packet's route. */
export const realm: MatchExtension = defineMatch<Negatable<NamedMask>>({
  name: "realm",
  family: "ipv4",
  mirrors: "net/netfilter/xt_realm.c:realm_mt()",
  fidelity: "exact",
  examples: ["--realm 0x5", "! --realm 0x10/0xff"],
  options: [REALM],
  only: { hooks: ["INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] },
  parse: (args) => args.need(REALM),
  format: (test) => formatTest("realm", test, (value) => formatNamed(value, REALMS)).join(" "),
  matches: ({ value: { value, mask }, invert }, skb) =>
    (((skb.route?.realms ?? 0) & mask) >>> 0 === value) !== invert,
  why: (_, skb) => `the route has realms 0x${(skb.route?.realms ?? 0).toString(16)}`,
});
