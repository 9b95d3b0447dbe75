import type { NetDevice } from "../../core/device.js";
import type { SkBuff } from "../../core/skbuff.js";
import {
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MGM_REPORT,
  ICMPV6_MLD2_REPORT,
  type Icmpv6Header,
} from "../../wire/icmpv6.js";
import {
  IPV6_ALL_MLD2_ROUTERS,
  IPV6_ALL_ROUTERS,
  IPV6_ANY,
  type Ipv6,
  putIpv6,
} from "../../wire/ip.js";
import { encodeMldRecords, MLD_ROUTER_ALERT, type MldRecord } from "../../wire/mld.js";
import { linkLocalAddress } from "./addresses.js";
import { hasIpv6 } from "./devconf.js";
import { sendLinkMessage } from "./link-message.js";

/** Whether the device can say anything. */
export function reports6(dev: NetDevice): boolean {
  return dev.up && !dev.isLoopback && hasIpv6(dev) && dev.carrier;
}

/** A report of version 2. Mirrors mld_newpack() and mld_sendpack(). */
export function sendRecords6(dev: NetDevice, records: readonly MldRecord[], cause?: SkBuff): void {
  if (records.length === 0) return;
  const header = {
    kind: "icmpv6",
    type: ICMPV6_MLD2_REPORT,
    code: 0,
    rest: records.length,
  } as const;
  send(dev, IPV6_ALL_MLD2_ROUTERS, header, encodeMldRecords(records), cause);
}

/** A report of version 1, to the group itself. Mirrors igmp6_send(). */
export function sendOldReport6(dev: NetDevice, group: Ipv6, cause?: SkBuff): void {
  const header = { kind: "icmpv6", type: ICMPV6_MGM_REPORT, code: 0, rest: 0 } as const;
  send(dev, group, header, payloadOf(group), cause);
}

/** Version 1 tells the routers when the last one leaves. Mirrors igmp6_send(). */
export function sendDone6(dev: NetDevice, group: Ipv6): void {
  const header = { kind: "icmpv6", type: ICMPV6_MGM_REDUCTION, code: 0, rest: 0 } as const;
  send(dev, IPV6_ALL_ROUTERS, header, payloadOf(group), undefined);
}

function payloadOf(group: Ipv6): Uint8Array {
  const payload = new Uint8Array(16);
  putIpv6(payload, 0, group);
  return payload;
}

/** From the link-local address, or :: while there is none. */
function send(
  dev: NetDevice,
  destination: Ipv6,
  header: Icmpv6Header,
  payload: Uint8Array,
  cause: SkBuff | undefined,
): void {
  if (!reports6(dev)) return;
  sendLinkMessage({
    dev,
    source: linkLocalAddress(dev) ?? IPV6_ANY,
    destination,
    hopLimit: 1,
    extensions: [MLD_ROUTER_ALERT],
    header,
    payload,
    by: "mld report",
    cause,
  });
}
