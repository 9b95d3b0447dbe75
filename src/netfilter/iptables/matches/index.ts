import type { MatchExtension } from "../extension.js";
import { addrtype } from "./addrtype.js";
import { comment } from "./comment.js";
import { connmark } from "./connmark.js";
import { conntrack } from "./conntrack.js";
import { icmp } from "./icmp.js";
import { limit } from "./limit.js";
import { mark } from "./mark.js";
import { multiport } from "./multiport.js";
import { physdev } from "./physdev.js";
import { state } from "./state.js";
import { statistic } from "./statistic.js";
import { tcp } from "./tcp.js";
import { udp } from "./udp.js";

/** Every match that hopwise knows. */
export const matches: readonly MatchExtension[] = [
  addrtype,
  comment,
  connmark,
  conntrack,
  icmp,
  limit,
  mark,
  multiport,
  physdev,
  state,
  statistic,
  tcp,
  udp,
];
