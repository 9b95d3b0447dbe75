import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SocketInfo } from "../core/skbuff.js";

/** Who a socket belongs to and how it is bound. */
export interface SocketOwner {
  /** 0 (root) unless given. */
  readonly uid?: number | undefined;
  /** SO_MARK. */
  readonly mark?: number | undefined;
  /** SO_BINDTODEVICE. */
  readonly boundDevice?: string | undefined;
}

/** What packets keep of their socket. */
export function socketInfo(description: string, owner: SocketOwner): SocketInfo {
  return {
    description,
    mark: owner.mark ?? 0,
    boundDevice: owner.boundDevice,
    holder: "program",
    uid: owner.uid ?? 0,
  };
}

/** The socket by which the kernel itself answers: ICMP messages, resets. Mirrors inet_ctl_sock_create(). */
export const kernelSocket: SocketInfo = {
  description: "kernel",
  mark: 0,
  boundDevice: undefined,
  holder: "kernel",
  uid: 0,
};

/** The device a socket is bound to; undefined when it is not bound or the device is gone. */
export function boundDeviceOf(ns: NetworkNamespace, owner: SocketOwner): NetDevice | undefined {
  return owner.boundDevice === undefined ? undefined : ns.devices.get(owner.boundDevice);
}
