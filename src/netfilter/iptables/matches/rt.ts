import { get32, get8 } from "../../../wire/bytes.js";
import { getIpv6, type IpAddress } from "../../../wire/ip.js";
import { IPPROTO_ROUTING } from "../../../wire/ipv6-extension.js";
import { formatAddress, parseAddress } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { findHeader } from "../find-header.js";
import { flag, option, type OptionArgs, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import {
  formatRange,
  formatTest,
  inRange,
  type Negatable,
  type Range,
  u32,
  unsignedRange,
} from "../values.js";

interface Rt {
  readonly type: Negatable<number> | undefined;
  readonly segsleft: Negatable<Range> | undefined;
  readonly length: Negatable<number> | undefined;
  readonly reserved: boolean;
  readonly addresses: readonly IpAddress[] | undefined;
  readonly notStrict: boolean;
}

const TYPE = option("rt-type", u32, { not: true });
const SEGSLEFT = option("rt-segsleft", unsignedRange(0xffff_ffff), { not: true });
const LEN = option("rt-len", u32, { not: true });
const RES = flag("rt-0-res", { guard: needsTypeZero });
const ADDRS = option("rt-0-addrs", readAddresses, { guard: needsTypeZero });
const NOT_STRICT = flag("rt-0-not-strict", {
  guard: ({ args }) => {
    if (!args.has(ADDRS)) throw refuse("`--rt-0-addr ...' required before `--rt-0-not-strict'");
  },
});

/** `-m rt` of IPv6: the routing header. */
export const rt: MatchExtension = defineMatch<Rt>({
  name: "rt",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_rt.c:rt_mt6()",
  fidelity: "exact",
  examples: [
    "! --rt-type 2 --rt-segsleft 1:5 --rt-len 24",
    "--rt-type 0 --rt-0-res --rt-0-addrs 2001:db8::1,2001:db8::2 --rt-0-not-strict",
  ],
  options: [TYPE, SEGSLEFT, LEN, RES, ADDRS, NOT_STRICT],
  parse: (args) => ({
    type: args.get(TYPE),
    segsleft: args.get(SEGSLEFT),
    length: args.get(LEN),
    reserved: args.has(RES),
    addresses: args.value(ADDRS),
    notStrict: args.has(NOT_STRICT),
  }),
  format: ({ type, segsleft, length, reserved, addresses, notStrict }) =>
    [
      ...formatTest("rt-type", type, String),
      ...formatTest("rt-segsleft", segsleft, formatRange),
      ...formatTest("rt-len", length, String),
      ...(reserved ? ["--rt-0-res"] : []),
      ...(addresses === undefined
        ? []
        : [`--rt-0-addrs ${addresses.map(formatAddress).join(",")}`]),
      ...(notStrict ? ["--rt-0-not-strict"] : []),
    ].join(" "),
  isPure: true,
  matches(params, skb) {
    const found = findHeader(skb, IPPROTO_ROUTING);
    if (typeof found !== "object") return found;
    const { bytes, length } = found;
    if (bytes.length < length) return "hotdrop";
    if (!fitsHeader(params, bytes, length)) return false;
    if (params.reserved && get32(bytes, 4) !== 0) return false;
    return params.addresses === undefined || visits(bytes, length, params);
  },
  why: (_, skb) =>
    findHeader(skb, IPPROTO_ROUTING) === false
      ? "packet has no routing header"
      : "the routing header differs",
});

function fitsHeader({ type, segsleft, length }: Rt, bytes: Uint8Array, whole: number): boolean {
  if (segsleft !== undefined && inRange(get8(bytes, 3), segsleft.value) === segsleft.invert)
    return false;
  if (length !== undefined && (length.value === whole) === length.invert) return false;
  return type === undefined || (type.value === get8(bytes, 2)) !== type.invert;
}

/** Whether the header lists these addresses: all of them and no others, or (not strict) among others in this order. */
function visits(
  bytes: Uint8Array,
  length: number,
  { addresses = [], notStrict }: Pick<Rt, "addresses" | "notStrict">,
): boolean {
  const listed = Array.from({ length: Math.floor((length - 8) / 16) }, (_, index) =>
    getIpv6(bytes, 8 + index * 16),
  );
  if (addresses.length > listed.length) return false;
  if (!notStrict)
    return addresses.length === listed.length && addresses.every((one, at) => one === listed[at]);
  let met = 0;
  for (const address of listed) if (address === addresses[met]) met++;
  return met === addresses.length;
}

function needsTypeZero({ args, option: name }: OptionUse): void {
  const type = typeOf(args);
  if (type === undefined || type.invert || type.value !== 0)
    throw refuse(`\`--rt-type 0' required before \`--${name}'`);
}

function typeOf(args: OptionArgs): Negatable<number> | undefined {
  return args.get(TYPE);
}

function readAddresses(text: string): readonly IpAddress[] {
  const parts = text.split(",");
  if (parts.length > 16) throw refuse("too many addresses specified");
  return parts.map((part) => {
    const address = parseAddress(part, "ipv6");
    if (address === undefined) throw refuse(`error parsing address: ${part}`);
    return address;
  });
}
