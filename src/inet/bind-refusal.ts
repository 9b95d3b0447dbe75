import type { Errno } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { IpAddress } from "../wire/ip.js";
import { familyOf } from "./families.js";
import { boundDeviceOf, type SocketOwner } from "./socket-owner.js";
import { ipv4Sysctls } from "./sysctls.js";

/** Why an address and port cannot be bound, apart from being in use. Mirrors net/ipv4/af_inet.c:__inet_bind(). */
export function bindRefusal(
  ns: NetworkNamespace,
  address: IpAddress,
  port: number,
  owner: SocketOwner,
): Errno | undefined {
  const sysctls = ipv4Sysctls(ns);
  const refused =
    owner.transparent === true
      ? undefined
      : familyOf(address).bindRefusal(ns, address, boundDeviceOf(ns, owner));
  if (refused !== undefined) return refused;
  if (
    port !== 0 &&
    port < sysctls.get("net.ipv4.ip_unprivileged_port_start") &&
    (owner.uid ?? 0) !== 0
  )
    return "EACCES";
  return undefined;
}
