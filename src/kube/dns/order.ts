import { cache } from "./plugins/cache.js";
import { errors } from "./plugins/errors.js";
import { forward } from "./plugins/forward.js";
import { health } from "./plugins/health.js";
import { kubernetes } from "./plugins/kubernetes.js";
import { loadbalance } from "./plugins/loadbalance.js";
import { loop } from "./plugins/loop.js";
import { prometheus } from "./plugins/prometheus.js";
import { ready } from "./plugins/ready.js";
import { reload } from "./plugins/reload.js";
import type { Plugin } from "./plugin.js";

/**
 * Every plugin, outermost first: the order of the chain, whatever the order in the Corefile.
 * Mirrors plugin.cfg of CoreDNS 1.14.7.
 */
export const pluginOrder: readonly Plugin[] = [
  reload,
  ready,
  health,
  prometheus,
  errors,
  loadbalance,
  cache,
  kubernetes,
  loop,
  forward,
];

/** The directives that a Corefile may use. */
export const directiveOrder: readonly string[] = pluginOrder.map((plugin) => plugin.name);
