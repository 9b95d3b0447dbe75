import { type IpAddress, formatIpv4, ipv6Words } from "../../../wire/ip.js";
import type { FtpKind } from "./ftp-commands.js";

/** The numbers of a command or an answer as NAT writes them. Mirrors net/netfilter/nf_nat_ftp.c:nf_nat_ftp_fmt_cmd(). */
export function formatFtp(kind: FtpKind, address: IpAddress, port: number): string {
  switch (kind) {
    case "EPSV":
      return `|||${port}|`;
    case "EPRT":
      return typeof address === "number"
        ? `|1|${formatIpv4(address)}|${port}|`
        : `|2|${ipv6InFull(address)}|${port}|`;
    case "PORT":
    case "PASV":
      return `${fourNumbers(address)},${port >>> 8},${port & 0xff}`;
    default:
      return kind satisfies never;
  }
}

/** The first four bytes of the address, as the kernel does even for IPv6, where nobody says PORT. */
function fourNumbers(address: IpAddress): string {
  const word = typeof address === "number" ? address : ipv6Words(address)[0];
  return [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff).join(",");
}

/** As printk's %pI6: every group, four digits each. */
function ipv6InFull(address: Extract<IpAddress, bigint>): string {
  const digits = address.toString(16).padStart(32, "0");
  return (digits.match(/.{4}/g) ?? []).join(":");
}
