import type { TargetExtension } from "../extension.js";
import { connmark } from "./connmark.js";
import { ct } from "./ct.js";
import { dnat } from "./dnat.js";
import { log } from "./log.js";
import { mark } from "./mark.js";
import { masquerade } from "./masquerade.js";
import { notrack } from "./notrack.js";
import { redirect } from "./redirect.js";
import { reject } from "./reject.js";
import { snat } from "./snat.js";
import { trace } from "./trace.js";

/** Every target that hopwise knows, apart from the verdicts ACCEPT, DROP, RETURN and QUEUE. */
export const targets: readonly TargetExtension[] = [
  connmark,
  ct,
  dnat,
  log,
  mark,
  masquerade,
  notrack,
  redirect,
  reject,
  snat,
  trace,
];
