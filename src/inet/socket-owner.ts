import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SocketInfo } from "../core/skbuff.js";

/** Who a socket belongs to and how it is bound. */
export interface SocketOwner {
  /** 0 (root) unless given. */
  readonly uid?: number | undefined;
  /** The program's group; root's is 0, that of another user is not known unless given. */
  readonly gid?: number | undefined;
  /** The program's supplementary groups. */
  readonly groups?: readonly number[] | undefined;
  /** SO_MARK. */
  readonly mark?: number | undefined;
  /** SO_BINDTODEVICE. */
  readonly boundDevice?: string | undefined;
  /** SO_REUSEPORT: it may share its port with others of its user that want that too. */
  readonly reusePort?: boolean | undefined;
  /** IP_TRANSPARENT: it may have addresses that are not this namespace's, and TPROXY may give it packets. */
  readonly transparent?: boolean | undefined;
}

/** What packets keep of their socket. */
export function socketInfo(description: string, owner: SocketOwner): SocketInfo {
  return {
    description,
    mark: owner.mark ?? 0,
    boundDevice: owner.boundDevice,
    holder: "program",
    uid: owner.uid ?? 0,
    gid: owner.gid ?? ((owner.uid ?? 0) === 0 ? 0 : undefined),
    groups: owner.groups ?? NO_GROUPS,
  };
}

const NO_GROUPS: readonly number[] = [];

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
