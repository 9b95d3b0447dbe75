import type { IpAddress } from "../wire/ip.js";
import type { InetFamily } from "./family.js";
import { inet4 } from "./family4.js";
import { inet6 } from "./family6.js";

/** The family that an address is of, as sockets see it. */
export function familyOf(address: IpAddress): InetFamily {
  return typeof address === "number" ? inet4 : inet6;
}
