import { assert } from "../base/errors.js";
import type { Route } from "../core/route.js";
import type { BridgeDevice } from "../link/bridge.js";

/** A route that is none: it only lets IP hooks ask for a device and an MTU. Mirrors bridge_parent_rtable(). */
class FakeRoute implements Route {
  readonly type = "unicast";
  readonly dev: BridgeDevice;
  readonly gateway = undefined;
  readonly source = undefined;
  readonly error = undefined;
  readonly redirect = false;

  constructor(bridge: BridgeDevice) {
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

export function bridgeFakeRoute(bridge: BridgeDevice): Route {
  return new FakeRoute(bridge);
}

export function isFakeRoute(route: Route | undefined): boolean {
  return route instanceof FakeRoute;
}
