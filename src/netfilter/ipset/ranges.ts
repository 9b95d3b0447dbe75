import { addToIpv4, ipv4, type IpAddress, type Ipv4, maskIpv4, maskIpv6 } from "../../wire/ip.js";
import { SetRefusal } from "./failure.js";

/** A net: an address with its host bits cleared. */
export interface Net {
  readonly address: IpAddress;
  readonly cidr: number;
}

/** The most steps of one request. The kernel knows no such limit. */
export const MAX_STEPS: number = 1 << 22;

/** Host bits cleared. */
export function maskAddress(address: IpAddress, cidr: number): IpAddress {
  return typeof address === "number" ? maskIpv4(address, cidr) : maskIpv6(address, cidr);
}

/** What is said of a request with more steps than that. */
export function tooManySteps(): SetRefusal {
  return new SetRefusal(`more than ${MAX_STEPS} elements in one request (a limit of hopwise)`);
}

/** The addresses between two, every `step`th, in order. */
export function* addressesBetween(from: Ipv4, to: Ipv4, step: number): Generator<Ipv4> {
  for (let address: number = from; address <= to; address += step) yield ipv4(address);
}

/** The fewest nets that cover a range exactly. Mirrors net/netfilter/ipset/pfxlen.c:ip_set_range_to_cidr(). */
export function* netsBetween(from: Ipv4, to: Ipv4): Generator<Net & { readonly address: Ipv4 }> {
  for (let address: number = from; address <= to;) {
    let cidr = 32;
    while (cidr > 1) {
      const size = 2 ** (33 - cidr);
      if (address % size !== 0 || address + size - 1 > to) break;
      cidr--;
    }
    yield { address: ipv4(address), cidr };
    address += 2 ** (32 - cidr);
  }
}

/** The last address of a net. */
export function lastOf(address: Ipv4, cidr: number): Ipv4 {
  return addToIpv4(maskIpv4(address, cidr), 2 ** (32 - cidr) - 1);
}
