import type { DropReason } from "../core/drop.js";

/** What is known of one reason to drop: for `hopwise explain` and docs/drop-reasons.md. */
export interface DropReasonText {
  /** When exactly the kernel gives this reason. */
  readonly condition: string;
  /** What is usually behind it. */
  readonly cause: string;
  /** Where to look, or what to run. */
  readonly look: string;
}

/** Every reason, in the words of an operator. The compiler shows one that is missing. */
export const DROP_REASON_TEXTS: Readonly<Record<DropReason, DropReasonText>> = {
  NOT_SPECIFIED: {
    condition: "The kernel function gave up without naming a reason.",
    cause:
      "Depends on the function, which the step names: an address that ARP does not answer for, a bridge port with nowhere to send.",
    look: "The step's `where`, and the steps right before it.",
  },
  NO_SOCKET: {
    condition:
      "No socket is bound to the packet's protocol, destination address and port in this namespace.",
    cause:
      "The server is not running, listens on another port, or only on 127.0.0.1; a Service's targetPort is wrong.",
    look: "`ss -lntu` in the destination; the Service's targetPort beside the container's port.",
  },
  SOCKET_CLOSE: {
    condition: "The socket is closed, or in a state that takes no more data.",
    cause: "A late packet for a connection that is over.",
    look: "The `socket` steps of the destination, above.",
  },
  SOCKET_RCVBUFF: {
    condition: "The socket's receive buffer is full.",
    cause: "The program does not read, or not fast enough.",
    look: "The Recv-Q column of `ss -ntu`.",
  },
  PKT_TOO_SMALL: {
    condition: "The packet is shorter than a header that must be in it.",
    cause: "A damaged or hand-made packet.",
    look: "The packet's bytes in the step.",
  },
  TCP_CSUM: {
    condition: "The TCP checksum does not verify.",
    cause: "Checksum offload that did not happen, often with an overlay; a damaged packet.",
    look: "`ethtool -k` on the sending device; `tcpdump -vv` says `incorrect`.",
  },
  UDP_CSUM: {
    condition: "The UDP checksum does not verify.",
    cause: "Checksum offload that did not happen, often with VXLAN; a damaged packet.",
    look: "`ethtool -k` on the sending device; `tcpdump -vv` says `bad udp cksum`.",
  },
  NETFILTER_DROP: {
    condition: "A netfilter hook said drop: a rule, a chain's policy, conntrack or NAT.",
    cause:
      "A firewall rule or network policy that this packet is meant to meet, or meets by mistake.",
    look: "The rule named right before the drop, with its file and line.",
  },
  OTHERHOST: {
    condition:
      "The frame's destination MAC is not that of the device, nor broadcast, nor multicast.",
    cause:
      "Normal on a bridge that floods. Else a stale neighbour entry, or a device whose MAC address changed.",
    look: "`ip neigh` of the sender; `ip link` of the receiver.",
  },
  IP_CSUM: {
    condition: "The IPv4 header checksum does not verify.",
    cause: "A damaged or hand-made packet.",
    look: "The packet's bytes in the step.",
  },
  IP_INHDR: {
    condition:
      "The IP header is wrong (version, lengths, options), or the TTL reached 0 where the packet was to be forwarded.",
    cause:
      "TTL: a routing loop, or a sender such as traceroute that counts hops. Else a hand-made packet.",
    look: "The TTL at each hop of the trace; the routes of the nodes that repeat.",
  },
  IP_RPFILTER: {
    condition:
      "Reverse path filtering is on and the source address is not routed back through the device it came by.",
    cause:
      "Two paths to one network; replies that leave by another device; `rp_filter` of 1 on a node with several devices.",
    look: "`sysctl net.ipv4.conf.all.rp_filter` and `.DEVICE.rp_filter` (the larger counts); `ip route get SOURCE`.",
  },
  UNICAST_IN_L2_MULTICAST: {
    condition:
      "An IP unicast address in a frame that was broadcast or multicast, refused (RFC 1122, or drop_unicast_in_l2_multicast).",
    cause: "A sender with a wrong neighbour entry; clusters that share a multicast MAC.",
    look: "The Ethernet destination in the step.",
  },
  IP_NOPROTO: {
    condition: "No handler for the IP protocol number, and no raw socket wants it.",
    cause: "A tunnel protocol whose module is not loaded in this namespace.",
    look: "The protocol number in the step.",
  },
  TCP_FLAGS: {
    condition: "The TCP flags make no sense for the state of the socket.",
    cause: "A packet for another connection; a scanner.",
    look: "The flags in the step, and the socket's state above it.",
  },
  TCP_OLD_DATA: {
    condition: "All the data of the segment was received before.",
    cause: "A retransmission whose original did arrive.",
    look: "The acknowledgements on the way back: one of them was late or lost.",
  },
  TCP_OVERWINDOW: {
    condition: "The data lies beyond the window that the receiver offered.",
    cause: "A sender that ignores the window.",
    look: "Sequence number and window of the segments before.",
  },
  TCP_LISTEN_OVERFLOW: {
    condition: "The listener's queue of connections that wait for accept() is full.",
    cause: "The server does not accept, or not fast enough.",
    look: "The Recv-Q and Send-Q columns of `ss -lnt`.",
  },
  TCP_OLD_SEQUENCE: {
    condition: "The segment ends before what the receiver expects next.",
    cause: "A retransmission, or a packet of an earlier connection with the same ports.",
    look: "The sequence number beside the receiver's last acknowledgement.",
  },
  TCP_INVALID_SEQUENCE: {
    condition: "The segment begins beyond the receiver's window.",
    cause: "A packet of another connection with the same ports; NAT that lost its entry.",
    look: "`conntrack -L` on the nodes between.",
  },
  TCP_INVALID_ACK_SEQUENCE: {
    condition: "The acknowledgement is outside of what was sent.",
    cause: "A reply for another connection with the same ports; NAT that lost its entry.",
    look: "`conntrack -L` on the nodes between.",
  },
  TCP_RESET: {
    condition: "A segment with RST ended the connection, and is used up by that.",
    cause: "The other side refused or aborted the connection.",
    look: "Who sent the RST: the packet's `born` step.",
  },
  TCP_INVALID_SYN: {
    condition: "A SYN inside an established connection.",
    cause:
      "A client that starts anew with the same port, while the server still knows the old connection.",
    look: "The client's port, and whether a reset of the old connection was lost.",
  },
  TCP_CLOSE: {
    condition: "The socket is in the CLOSE state.",
    cause: "A late packet for a connection that is over.",
    look: "The `socket` steps of the destination, above.",
  },
  TCP_OLD_ACK: {
    condition: "The acknowledgement is older than one already received.",
    cause: "Reordered or repeated packets; harmless.",
    look: "Nothing to do.",
  },
  TCP_ACK_UNSENT_DATA: {
    condition: "The acknowledgement is for data that was never sent.",
    cause: "A reply for another connection with the same ports; a scanner.",
    look: "`conntrack -L` on the nodes between.",
  },
  IP_OUTNOROUTES: {
    condition: "A local packet found no route, or lost it when it was routed again.",
    cause:
      "No default route; a route whose device is down; a rule that sent it into an empty table.",
    look: "`ip route get DESTINATION` and `ip rule` where the packet was born.",
  },
  IPV6DISABLED: {
    condition: "IPv6 is switched off on the device the packet came by or would leave by.",
    cause: "net.ipv6.conf.DEV.disable_ipv6 is 1: by hand, by a container runtime, or by the lab.",
    look: "`sysctl net.ipv6.conf.DEV.disable_ipv6` in that namespace.",
  },
  IPV6_NDISC_FRAG: {
    condition:
      "A neighbour discovery message came with a fragment header (suppress_frag_ndisc is 1).",
    cause: "A hand-made packet; RFC 6980 forbids it.",
    look: "The packet's bytes in the step.",
  },
  IPV6_NDISC_HOP_LIMIT: {
    condition:
      "A neighbour discovery message has a hop limit other than 255, so it may have crossed a router.",
    cause: "A hand-made packet, or a rule that changes the hop limit of ICMPv6 (HL target).",
    look: "ip6tables -t mangle; the packet's ipv6.hlim in the step.",
  },
  IPV6_NDISC_BAD_CODE: {
    condition: "A neighbour discovery message has a code other than 0.",
    cause: "A hand-made packet.",
    look: "The packet's icmpv6.code in the step.",
  },
  IPV6_NDISC_BAD_OPTIONS: {
    condition:
      "An option of a neighbour discovery message has length 0 or reaches past its end, or may not be there.",
    cause: "A damaged or hand-made packet.",
    look: "The packet's bytes in the step.",
  },
  IPV6_NDISC_NS_OTHERHOST: {
    condition:
      "A neighbour solicitation asks for an address that the receiving device does not have and does not stand in for.",
    cause:
      "Normal on a shared link; NDP, unlike ARP, answers only for addresses of the device itself.",
    look: "`ip -6 addr show dev DEV`; `ip -6 neigh show proxy` with net.ipv6.conf.DEV.proxy_ndp.",
  },
  NEIGH_CREATEFAIL: {
    condition: "No neighbour entry could be made: the table is full, or the device takes none.",
    cause: "More neighbours than `net.ipv4.neigh.default.gc_thresh3`.",
    look: "`ip neigh | wc -l` beside the sysctl.",
  },
  NEIGH_FAILED: {
    condition: "Nobody answered the ARP requests for the next hop.",
    cause:
      "The next hop does not exist or is down; it is in another network; a bridge or firewall ate the ARP.",
    look: "The ARP requests in the trace: where the last of them was seen.",
  },
  NEIGH_QUEUEFULL: {
    condition: "More packets wait for one neighbour than its queue holds; the oldest is dropped.",
    cause: "A burst to an address that does not answer ARP.",
    look: "Whether the neighbour is ever resolved: `ip neigh`.",
  },
  NEIGH_DEAD: {
    condition: "The neighbour entry was deleted while the packet was on its way to it.",
    cause: "A device that went away.",
    look: "The device steps before.",
  },
  QDISC_DROP: {
    condition: "The device's queue refused the packet: it is down, has no carrier, or is full.",
    cause:
      "The other end of a veth is down or gone; no program has a tap open; a token bucket lets no more through.",
    look: "`ip link`: `NO-CARRIER`, `state DOWN`; `tc qdisc`.",
  },
  UNHANDLED_PROTO: {
    condition: "No protocol of this namespace takes the frame's EtherType.",
    cause: "A frame of a protocol that is not spoken here.",
    look: "The EtherType in the step.",
  },
  DEV_READY: {
    condition: "The receiving device is down.",
    cause: "A link that was never set up, or went down while the packet was on the wire.",
    look: "`ip link show DEVICE` in the receiving namespace.",
  },
  HDR_TRUNC: {
    condition: "The packet ends before a header that its own fields announce.",
    cause: "A damaged or hand-made packet.",
    look: "The packet's bytes in the step.",
  },
  ICMP_CSUM: {
    condition: "The ICMP checksum does not verify.",
    cause: "A damaged packet; a device that rewrote the message and not its checksum.",
    look: "Where on the way the checksum went wrong: `tcpdump -vv`.",
  },
  INVALID_PROTO: {
    condition:
      "The protocol may not be used in this place, such as a multicast ICMP echo that is to be ignored.",
    cause: "A kernel setting, such as icmp_echo_ignore_broadcasts.",
    look: "`sysctl net.ipv4.icmp_echo_ignore_broadcasts`.",
  },
  IP_INADDRERRORS: {
    condition:
      "Routing the received packet ended in an unreachable, prohibit or blackhole route, or forwarding is off.",
    cause: "`ip_forward` is 0 on a router; a route that says unreachable on purpose.",
    look: "`sysctl net.ipv4.conf.DEVICE.forwarding`; `ip route get DESTINATION from SOURCE iif DEVICE`.",
  },
  IP_INNOROUTES: {
    condition:
      "Routing the received packet failed, and the router's answer is that the network is unreachable.",
    cause:
      "A router without a route to the destination: a node that does not know another node's pods.",
    look: "`ip route` on the router; the CNI's route for that node's podCIDR.",
  },
  IP_LOCAL_SOURCE: {
    condition: "The packet came in by a device, from an address that is this host's own.",
    cause: "A loop; two hosts with one address; hairpin traffic without masquerade.",
    look: "`ip addr` beside the packet's source; `accept_local`.",
  },
  IP_INVALID_SOURCE: {
    condition:
      "The source address can be nobody's: multicast, broadcast, zero, or loopback on a wire.",
    cause: "A hand-made packet; a source address that was never set.",
    look: "The packet's `born` step.",
  },
  IP_LOCALNET: {
    condition: "A loopback address (127.0.0.0/8) from or to a wire, while route_localnet is off.",
    cause: "DNAT to 127.0.0.1: a NodePort on localhost, or a redirect to a local proxy.",
    look: "`sysctl net.ipv4.conf.DEVICE.route_localnet`.",
  },
  IP_INVALID_DEST: {
    condition: "The destination address can be nobody's, such as 0.0.0.0 from a wire.",
    cause: "A hand-made packet.",
    look: "The packet's `born` step.",
  },
  PKT_TOO_BIG: {
    condition: "The packet is larger than the MTU of its way out, and may not be fragmented (DF).",
    cause:
      "A tunnel or overlay with a smaller MTU, and a sender that does not get the ICMP message about it.",
    look: "The MTUs along the path (`ip link`); the ICMP `need to frag` in the trace, and where it ended.",
  },
  NO_TX_TARGET: {
    condition: "A device had nothing to send the frame to.",
    cause:
      "A bridge without another port that may have it, or a group that nobody wants; a tunnel without a remote end.",
    look: "`bridge link`, `bridge fdb show` and `bridge mdb show`.",
  },
  MAC_INVALID_SOURCE: {
    condition: "The frame's source MAC is multicast or all zero, and a bridge does not take it.",
    cause: "A hand-made frame; a device without an address.",
    look: "The Ethernet source in the step.",
  },
  LOCAL_MAC: {
    condition: "A frame came in with the source MAC of the receiving device or bridge itself.",
    cause: "A loop, or two devices with one MAC address.",
    look: "`bridge fdb show`; the MAC addresses of the ports.",
  },
  MAC_IEEE_MAC_CONTROL: {
    condition:
      "The frame goes to a MAC control address (01:80:c2:00:00:01) that no bridge forwards.",
    cause: "Ethernet flow control that ends at the first bridge, as it must.",
    look: "Nothing to do.",
  },
  BRIDGE_INGRESS_STP_STATE: {
    condition: "The bridge port is not in the forwarding state.",
    cause: "A port that was disabled, or that spanning tree blocks or is still listening on.",
    look: "`bridge link`: the port's `state`.",
  },
  QUEUE_PURGE: {
    condition: "The queue that the packet waited in was emptied.",
    cause:
      "The device went down, or its neighbour entry was deleted while the packet waited for ARP.",
    look: "The device steps before.",
  },
  RECURSION_LIMIT: {
    condition: "The packet passed through too many devices within one call.",
    cause: "A tunnel that is routed through itself.",
    look: "`ip route get` of the tunnel's remote end.",
  },
  IP_TUNNEL_ECN: {
    condition:
      "The outer packet says that congestion was met, and the inner one cannot carry that.",
    cause: "A router on the underlay marks packets (ECN) of a sender that did not ask for it.",
    look: "The TOS of the outer packet on each hop; `net.ipv4.tcp_ecn` on the sender.",
  },
  VXLAN_INVALID_HDR: {
    condition: "The VXLAN header has no valid network identifier, or reserved bits are set.",
    cause: "Something else talks to the VXLAN port; an extension (GBP, GPE) on one side alone.",
    look: "`ip -d link show type vxlan` on both ends.",
  },
  VXLAN_VNI_NOT_FOUND: {
    condition:
      "No VXLAN device of this host has the packet's network identifier (VNI) on that port.",
    cause: "Two ends with different VNIs; a device that is down.",
    look: "`ip -d link show type vxlan` on both ends: `id` and `dstport`.",
  },
  VXLAN_ENTRY_EXISTS: {
    condition:
      "A learning VXLAN device has a static entry for the inner source MAC, with another host.",
    cause: "A node whose address changed while its old entry stayed; two nodes with one VTEP MAC.",
    look: "`bridge fdb show dev DEVICE` beside the outer source address.",
  },
  DUP_FRAG: {
    condition: "A fragment of a datagram arrived a second time, or overlaps another.",
    cause: "A network that repeats packets; an attack with overlapping fragments.",
    look: "The offsets of the fragments before it.",
  },
  FRAG_REASM_TIMEOUT: {
    condition:
      "A datagram was not whole when its reassembly time (`net.ipv4.ipfrag_time`) ran out.",
    cause:
      "One fragment was lost: a firewall that judges ports drops later fragments, or one was too big.",
    look: "The drop of the missing fragment, earlier in the trace.",
  },
  TCP_ABORT_ON_DATA: {
    condition: "Data came for a socket that its program has closed; the connection is reset.",
    cause:
      "A program that closes without reading all; a client that goes on sending after the server gave up.",
    look: "The `socket` steps of the destination, above.",
  },
  TCP_OFO_DROP: {
    condition:
      "The segment is out of order, and the queue for such segments takes no more, or not this one.",
    cause: "A segment before it was lost, and the receiver has no room to keep later ones.",
    look: "The drop of the missing segment, earlier in the trace.",
  },
  TCP_RFC7323_PAWS: {
    condition: "The segment's timestamp is older than the last one received (RFC 7323 PAWS).",
    cause: "A very late packet; two senders with one address whose clocks differ.",
    look: "The `TS val` of the segments before.",
  },
  TCP_RFC7323_TSECR: {
    condition: "The segment that ends a handshake echoes a timestamp that no SYN-ACK had.",
    cause: "The answer to a SYNPROXY rule that moves timestamps; a blind attack.",
    look: "The `ecr` of the segment beside the `TS val` of the SYN-ACK.",
  },
  TCP_TOO_OLD_ACK: {
    condition:
      "The acknowledgement is older than any window that the receiver ever offered (RFC 5961).",
    cause: "A packet of an earlier connection with the same ports; a blind attack.",
    look: "The acknowledgement beside what the socket has sent.",
  },
};
