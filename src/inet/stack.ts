import type { NetworkNamespace, PernetOperations } from "../core/namespace.js";
import { ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.js";
import { IPPROTO_IGMP } from "../wire/igmp.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { IPPROTO_ICMPV6 } from "../wire/ipv6.js";
import { followDevice } from "./addresses.js";
import { devConfs } from "./devconf.js";
import { offerInternet } from "./device-internet.js";
import { icmpErr, icmpRcv } from "./icmp-receive.js";
import { followDeviceGroups } from "./igmp.js";
import { igmpRcv } from "./igmp-receive.js";
import { followDevice6, followKnob6 } from "./ipv6/addrconf.js";
import { route6Actions } from "./ipv6/actions.js";
import { devConfs6 } from "./ipv6/devconf.js";
import { ip6Forward, ip6PacketDiscard, ip6PacketDiscardOut } from "./ipv6/forward.js";
import { icmp6Err, icmp6Rcv, icmp6Redirect } from "./ipv6/icmp-receive.js";
import { ip6Input, ip6McInput, ip6Rcv } from "./ipv6/input.js";
import { followDeviceNdisc, setUpNdisc } from "./ipv6/ndisc.js";
import { ip6LocalOut, ip6Output } from "./ipv6/output.js";
import { ipv6Sysctls } from "./ipv6/sysctls.js";
import { ipError, ipForward } from "./ip-forward.js";
import { ipIds } from "./ip-id.js";
import { ipLocalDeliver, ipRcv } from "./ip-input.js";
import { ipMulticastOutput, ipOutput } from "./ip-output.js";
import { ip6Protocols, ipProtocols } from "./protocols.js";
import { routeActions } from "./route-entry.js";
import { socketPorts } from "./socket-ports.js";
import { ipv4Sysctls } from "./sysctls.js";
import { tcpProtocol } from "./tcp-input.js";
import { IPPROTO_UDPLITE } from "../wire/ports.js";
import { udpProtocol } from "./udp.js";
import { udpliteProtocol } from "./udplite.js";
import { offerUdpTunnels } from "./udp-tunnel.js";

/** The Internet floor of every namespace: its knobs, its protocols, and addresses that follow the devices. Mirrors net/ipv4/af_inet.c:inet_init(). */
export const inet: PernetOperations = {
  name: "inet",
  init(ns: NetworkNamespace): void {
    devConfs(ns);
    ipv4Sysctls(ns);
    ipIds(ns);
    socketPorts(ns);
    offerUdpTunnels(ns);
    offerInternet(ns);
    const actions = routeActions(ns);
    actions.localDeliver = ipLocalDeliver;
    actions.forward = ipForward;
    actions.error = ipError;
    actions.output = ipOutput;
    actions.multicastOutput = ipMulticastOutput;
    ipProtocols(ns).set(IPPROTO_ICMP, { receive: icmpRcv, error: icmpErr });
    ipProtocols(ns).set(IPPROTO_IGMP, { receive: igmpRcv });
    ipProtocols(ns).set(IPPROTO_TCP, tcpProtocol);
    ipProtocols(ns).set(IPPROTO_UDP, udpProtocol);
    ipProtocols(ns).set(IPPROTO_UDPLITE, udpliteProtocol);
    ns.protocols.set(ETH_P_IP, ipRcv);
    setUpIpv6(ns);
    ns.onDeviceNotice((notice, dev) => {
      if (notice === "register") devConfs(ns).of(dev);
      followDevice(notice, dev);
      followDeviceGroups(notice, dev);
      if (notice === "unregister") devConfs(ns).forget(dev);
      followDevice6(notice, dev);
      followDeviceNdisc(notice, dev);
    });
  },
};

/** Mirrors net/ipv6/af_inet6.c:inet6_init(). */
function setUpIpv6(ns: NetworkNamespace): void {
  ipv6Sysctls(ns);
  devConfs6(ns).onChange = followKnob6;
  setUpNdisc(ns);
  const actions = route6Actions(ns);
  actions.localDeliver = ip6Input;
  actions.multicastInput = ip6McInput;
  actions.forward = ip6Forward;
  actions.error = ip6PacketDiscard;
  actions.discardOut = ip6PacketDiscardOut;
  actions.output = ip6Output;
  actions.localOut = ip6LocalOut;
  ip6Protocols(ns).set(IPPROTO_ICMPV6, {
    receive: icmp6Rcv,
    error: icmp6Err,
    redirect: icmp6Redirect,
  });
  ip6Protocols(ns).set(IPPROTO_TCP, tcpProtocol);
  ip6Protocols(ns).set(IPPROTO_UDP, udpProtocol);
  ip6Protocols(ns).set(IPPROTO_UDPLITE, udpliteProtocol);
  ns.protocols.set(ETH_P_IPV6, ip6Rcv);
}
