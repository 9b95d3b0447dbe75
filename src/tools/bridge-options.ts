import type { BridgeDevice } from "../link/bridge.js";
import type { MulticastTimes } from "../link/multicast.js";
import { type Micros, milliseconds } from "../sim/time.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { parseNumber, type Words, wrongArgument } from "./words.js";

/** One word of `ip link … type bridge`: what a number does, and what `ip -d link` prints. */
interface BridgeOption {
  readonly name: string;
  /** The largest number that the tool takes. */
  readonly most: number;
  readonly get: (bridge: BridgeDevice) => number;
  readonly set: (bridge: BridgeDevice, value: number) => void;
}

const BYTE = 0xff;
const WORD = 0xffff;
const LONG = 0xffff_ffff;

/** In the order in which the kernel takes them. Mirrors net/bridge/br_netlink.c:br_changelink(). */
const OPTIONS: readonly BridgeOption[] = [
  stpTime("forward_delay", "forwardDelay", 200, 3_000),
  stpTime("hello_time", "helloTime", 100, 1_000),
  stpTime("max_age", "maxAge", 600, 4_000),
  {
    name: "ageing_time",
    most: LONG,
    get: ({ fdb }) => toCenti(fdb.ageing),
    set: ({ fdb }, value) => {
      fdb.ageing = fromCenti(value);
    },
  },
  { name: "stp_state", most: LONG, get: ({ stp }) => Number(stp.enabled), set: setStp },
  {
    name: "priority",
    most: WORD,
    get: ({ stp }) => stp.priority,
    set: ({ stp }, value) => stp.setPriority(value),
  },
  {
    name: "vlan_filtering",
    most: BYTE,
    get: ({ vlanFiltering }) => Number(vlanFiltering),
    set: (bridge, value) => bridge.setVlanFiltering(value !== 0),
  },
  {
    name: "group_fwd_mask",
    most: WORD,
    get: ({ groupForwardMask }) => groupForwardMask,
    set: (bridge, value) => {
      // 00 with the group's own number, 01 is pause, 02 is for bonds.
      if ((value & 7) !== 0) throw rtnetlink("Invalid argument");
      bridge.groupForwardMask = value;
    },
  },
  {
    name: "mcast_router",
    most: BYTE,
    get: ({ multicast }) => multicast.routerSetting,
    set: ({ multicast }, value) => {
      if (value > 2) throw rtnetlink("Invalid argument");
      multicast.routerSetting = value;
    },
  },
  {
    name: "mcast_snooping",
    most: BYTE,
    get: ({ multicast }) => Number(multicast.snooping),
    set: ({ multicast }, value) => multicast.setSnooping(value !== 0),
  },
  {
    name: "mcast_query_use_ifaddr",
    most: BYTE,
    get: ({ multicast }) => Number(multicast.useAddress),
    set: ({ multicast }, value) => {
      multicast.useAddress = value !== 0;
    },
  },
  {
    name: "mcast_querier",
    most: BYTE,
    get: ({ multicast }) => Number(multicast.querier),
    set: ({ multicast }, value) => multicast.setQuerier(value !== 0),
  },
  count("mcast_last_member_count", "lastMemberCount"),
  count("mcast_startup_query_count", "startupQueryCount"),
  interval("mcast_last_member_interval", "lastMemberInterval", 0),
  interval("mcast_membership_interval", "membershipInterval", 0),
  interval("mcast_querier_interval", "querierInterval", 0),
  interval("mcast_query_interval", "queryInterval", 100),
  interval("mcast_query_response_interval", "queryResponseInterval", 0),
  interval("mcast_startup_query_interval", "startupQueryInterval", 100),
  only("mcast_igmp_version", 2, 3),
  only("mcast_mld_version", 1, 2),
  {
    name: "nf_call_iptables",
    most: BYTE,
    get: ({ callsIptables }) => Number(callsIptables),
    set: (bridge, value) => bridge.setCallIptables(value !== 0),
  },
  only("vlan_default_pvid", 1, WORD),
];

/** Reads the words of a bridge, and does what they say in the kernel's order. Mirrors iproute2's ip/iplink_bridge.c:bridge_parse_opt(). */
export function readBridgeOptions(words: Words): (bridge: BridgeDevice) => void {
  const asked = new Map<string, number>();
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const name: string = word;
    const option = OPTIONS.find((one) => one.name === name);
    if (option === undefined) {
      if (OTHER_WORDS.has(name)) throw notModelled("ip", `ip link … type bridge ${name}`);
      throw new ToolFailure(1, `bridge: unknown command "${name}"?\n`);
    }
    const given = words.value();
    const value = parseNumber(given);
    if (value === undefined || value > option.most) throw wrongArgument(given, `invalid ${name}\n`);
    asked.set(name, value);
  }
  return (bridge) => {
    for (const { name, set } of OPTIONS) {
      const value = asked.get(name);
      if (value !== undefined) set(bridge, value);
    }
  };
}

/** The number of an option, for `ip -d link`. */
export function bridgeOption(bridge: BridgeDevice, name: string): number {
  return OPTIONS.find((one) => one.name === name)?.get(bridge) ?? 0;
}

/** Words of the real tool that would change what a bridge does and are not modelled. */
const OTHER_WORDS: ReadonlySet<string> = new Set(
  "fdb_flush fdb_max_learned vlan_protocol vlan_stats_enabled vlan_stats_per_port group_address no_linklocal_learn mcast_vlan_snooping mcast_hash_elasticity mcast_hash_max mcast_stats_enabled nf_call_ip6tables nf_call_arptables".split(
    " ",
  ),
);

/** Hundredths of a second, as the tool counts. */
function fromCenti(value: number): Micros {
  return milliseconds(value * 10);
}

/** As the kernel gives them back: in whole ticks of 4 ms, so 31.25 s are 3124. */
function toCenti(time: Micros): number {
  return Math.floor((Math.floor(time / 4_000) * 4) / 10);
}

/** Outside of its range only while spanning tree is off, and then only the delay. Mirrors br_set_forward_delay(), br_set_hello_time() and br_set_max_age(). */
function stpTime(
  name: string,
  field: "forwardDelay" | "helloTime" | "maxAge",
  low: number,
  high: number,
): BridgeOption {
  return {
    name,
    most: LONG,
    get: ({ stp }) => toCenti(stp.times[field]),
    set: ({ stp }, value) => {
      const free = field === "forwardDelay" && !stp.enabled;
      if (!free && (value < low || value > high)) throw rtnetlink("Numerical result out of range");
      stp.setTimes({ [field]: fromCenti(value) });
    },
  };
}

const FORWARD_DELAYS = [200, 3_000] as const;

/** Mirrors br_stp_start(): a delay that is too short or too long is put right. */
function setStp({ stp }: BridgeDevice, value: number): void {
  const [low, high] = FORWARD_DELAYS;
  const delay = toCenti(stp.own.forwardDelay);
  if (value !== 0 && !stp.enabled)
    stp.setTimes({ forwardDelay: fromCenti(Math.min(high, Math.max(low, delay))) });
  stp.setEnabled(value !== 0);
}

type Count = "lastMemberCount" | "startupQueryCount";

function count(name: string, field: Count): BridgeOption {
  return {
    name,
    most: LONG,
    get: ({ multicast }) => multicast.times[field],
    set: ({ multicast }, value) => {
      multicast.times[field] = value;
    },
  };
}

/** Too short ones are made longer. Mirrors br_multicast_set_query_intvl(). */
function interval(
  name: string,
  field: Exclude<keyof MulticastTimes, Count>,
  least: number,
): BridgeOption {
  return {
    name,
    most: LONG,
    get: ({ multicast }) => toCenti(multicast.times[field]),
    set: ({ multicast }, value) => {
      multicast.times[field] = fromCenti(Math.max(least, value));
    },
  };
}

/** An option that is modelled at its default alone. */
function only(name: string, value: number, most: number): BridgeOption {
  return {
    name,
    most: WORD,
    get: () => value,
    set: (_bridge, asked) => {
      if (asked > most || asked === 0) throw rtnetlink("Invalid argument");
      if (asked !== value) throw notModelled("ip", `a bridge with ${name} ${asked}`);
    },
  };
}
