import type { NetworkNamespace, PernetOperations } from "../core/namespace.js";
import { ETH_P_IP } from "../wire/ethernet.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { followDevice } from "./addresses.js";
import { devConfs } from "./devconf.js";
import { icmpErr, icmpRcv } from "./icmp-receive.js";
import { ipError, ipForward } from "./ip-forward.js";
import { ipIds } from "./ip-id.js";
import { ipLocalDeliver, ipRcv } from "./ip-input.js";
import { ipMulticastOutput, ipOutput } from "./ip-output.js";
import { ipProtocols } from "./protocols.js";
import { routeActions } from "./route-entry.js";
import { socketPorts } from "./socket-ports.js";
import { ipv4Sysctls } from "./sysctls.js";
import { tcpProtocol } from "./tcp-input.js";
import { udpProtocol } from "./udp.js";
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
    const actions = routeActions(ns);
    actions.localDeliver = ipLocalDeliver;
    actions.forward = ipForward;
    actions.error = ipError;
    actions.output = ipOutput;
    actions.multicastOutput = ipMulticastOutput;
    ipProtocols(ns).set(IPPROTO_ICMP, { receive: icmpRcv, error: icmpErr });
    ipProtocols(ns).set(IPPROTO_TCP, tcpProtocol);
    ipProtocols(ns).set(IPPROTO_UDP, udpProtocol);
    ns.protocols.set(ETH_P_IP, ipRcv);
    ns.onDeviceNotice((notice, dev) => {
      if (notice === "register") devConfs(ns).of(dev);
      followDevice(notice, dev);
      if (notice === "unregister") devConfs(ns).forget(dev);
    });
  },
};
