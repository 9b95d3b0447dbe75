import type { LogEvent } from "../core/trace.js";
import { formatIp } from "../wire/ip.js";
import { logLine } from "./packet-log.js";

/** What a rule had written down, in the words of who reads it: the kernel's log, a program on NFLOG's group, the audit system. */
export function logText(event: LogEvent): string {
  switch (event.by) {
    case "LOG":
      return `${event.prefix}${logLine(event, new Set(event.parts))}`;
    case "NFLOG":
      return `${event.prefix}${event.prefix === "" ? "" : " "}to group ${event.group ?? 0}`;
    case "AUDIT":
      return auditText(event);
  }
}

/** Mirrors net/netfilter/xt_AUDIT.c:audit_tg(). */
function auditText({ frame: { network }, mark }: LogEvent): string {
  const marked = `mark=${mark === 0 ? "0" : `0x${mark.toString(16)}`}`;
  if (network === undefined || network.kind === "arp") return `${marked} saddr=? daddr=? proto=-1`;
  return `${marked} saddr=${formatIp(network.source)} daddr=${formatIp(network.destination)} proto=${network.protocol}`;
}
