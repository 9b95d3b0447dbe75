import { type NetworkNamespace, type PernetOperations } from "../core/namespace.js";
import { BridgeDevice } from "./bridge.js";
import { Loopback } from "./loopback.js";
import { ETH_P_8021Q } from "../wire/ethernet.js";
import { ipvlanPorts } from "./ipvlan.js";
import { macvlanPorts } from "./macvlan.js";
import { receiveUnknownVlan, vlanGroups } from "./vlan.js";
import { vxlanPorts } from "./vxlan.js";

/** The devices' floor of every namespace: it has `lo`, and bridges hear of their ports. */
export const link: PernetOperations = {
  name: "link",
  init(ns: NetworkNamespace): void {
    ns.protocols.set(ETH_P_8021Q, receiveUnknownVlan);
    ns.onDeviceNotice((notice, dev) => {
      if (dev.master instanceof BridgeDevice) dev.master.portChanged(notice, dev);
      vlanGroups(ns).lowerChanged(notice, dev);
      macvlanPorts(ns).lowerChanged(notice, dev);
      ipvlanPorts(ns).lowerChanged(notice, dev);
      if (notice === "unregister") vxlanPorts(ns).lowerGone(dev);
    });
  },
};

/** Makes `lo`, after every subsystem listens. Mirrors drivers/net/loopback.c:loopback_net_init(). */
export const loopback: PernetOperations = {
  name: "loopback",
  init(ns: NetworkNamespace): void {
    new Loopback(ns).register();
  },
};
