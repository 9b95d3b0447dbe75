import { IPS_DST_NAT, IPS_SRC_NAT } from "../../../core/conntrack.js";
import { type Micros, seconds } from "../../../sim/time.js";
import { get16 } from "../../../wire/bytes.js";
import { IPPROTO_UDP } from "../../../wire/ipv4.js";
import { followMaster } from "../../nat/helper.js";
import type { Expectation } from "../expectations.js";
import { type Helper, NO_HELP } from "../extensions.js";
import { REPLY } from "../tuple.js";

const TFTP_OPCODE_READ = 1;
const TFTP_OPCODE_WRITE = 2;

/**
 * TFTP: after a request to port 69 the server answers from another port. RFC 1350 §4.
 * Mirrors net/netfilter/nf_conntrack_tftp.c:tftp_help() and nf_nat_tftp.c:help().
 */
export const tftp: Helper = {
  name: "tftp",
  protocols: [IPPROTO_UDP],
  maxExpected: 1,
  timeout: seconds(300),

  help({ skb, entry, table }) {
    const { transport, payload } = skb.frame;
    if (transport?.kind !== "udp" || payload.length < 2) return NO_HELP;
    const opcode = get16(payload, 0);
    if (opcode !== TFTP_OPCODE_READ && opcode !== TFTP_OPCODE_WRITE) return NO_HELP;
    const { source, destination, destinationPort } = entry.reply;
    const isNat = (entry.status & (IPS_SRC_NAT | IPS_DST_NAT)) !== 0;
    const expectation: Expectation = {
      master: entry,
      helper: tftp,
      tuple: {
        source,
        destination,
        protocol: IPPROTO_UDP,
        sourcePort: 0,
        destinationPort,
        icmpType: 0,
        icmpCode: 0,
      },
      onArrival: isNat ? followMaster(skb.ns, entry, REPLY, entry.original.sourcePort) : undefined,
      expires: 0 as Micros,
    };
    return table.expectations.add(expectation) === "expected"
      ? { kind: "expects", expectation }
      : { kind: "drop", why: "cannot add expectation" };
  },
};
