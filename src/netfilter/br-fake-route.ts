import { assert } from "../base/errors.js";
import type { NetDevice } from "../core/device.js";
import type { Route } from "../core/route.js";

/** A route that is none: it only lets IP hooks ask for a device and an MTU. Mirrors bridge_parent_rtable(). */
class FakeRoute implements Route {
  readonly type = "unicast";
  readonly dev: NetDevice;
  readonly gateway = undefined;
  readonly source = undefined;
  readonly error = undefined;
  readonly redirect = false;
  readonly isPlaceholder = true;

  constructor(bridge: NetDevice) {
    this.dev = bridge;
  }

  get mtu(): number {
    return this.dev.mtu;
  }

  get text(): string {
    return `bridged by ${this.dev.name}`;
  }

  input(): never {
    return notRouted();
  }

  output(): never {
    return notRouted();
  }
}

function notRouted(): never {
  assert(false, "a bridged frame was routed by its placeholder");
}

export function bridgeFakeRoute(bridge: NetDevice): Route {
  return new FakeRoute(bridge);
}

export function isFakeRoute(route: Route | undefined): boolean {
  return route?.isPlaceholder === true;
}
