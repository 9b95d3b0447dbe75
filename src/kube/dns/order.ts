import { acl } from "./plugins/acl.js";
import { alias } from "./plugins/alias.js";
import { any } from "./plugins/any.js";
import { auto } from "./plugins/auto.js";
import { autopath } from "./plugins/autopath.js";
import { bufsize } from "./plugins/bufsize.js";
import { cache } from "./plugins/cache.js";
import { chaos } from "./plugins/chaos.js";
import { dns64 } from "./plugins/dns64.js";
import { erratic } from "./plugins/erratic.js";
import { errors } from "./plugins/errors.js";
import { file } from "./plugins/file.js";
import { forward } from "./plugins/forward.js";
import { header } from "./plugins/header.js";
import { health } from "./plugins/health.js";
import { hosts } from "./plugins/hosts.js";
import { k8sExternal } from "./plugins/k8s-external.js";
import { kubernetes } from "./plugins/kubernetes.js";
import { loadbalance } from "./plugins/loadbalance.js";
import { local } from "./plugins/local.js";
import { log } from "./plugins/log.js";
import { loop } from "./plugins/loop.js";
import { metadata } from "./plugins/metadata.js";
import { minimal } from "./plugins/minimal.js";
import { nsid } from "./plugins/nsid.js";
import { prometheus } from "./plugins/prometheus.js";
import { ready } from "./plugins/ready.js";
import { reload } from "./plugins/reload.js";
import { rewrite } from "./plugins/rewrite.js";
import { bind, cancel, debug, root, timeouts } from "./plugins/settings-only.js";
import { template } from "./plugins/template.js";
import { transfer } from "./plugins/transfer.js";
import * as outside from "./plugins/unmodelled.js";
import { view } from "./plugins/view.js";
import { whoami } from "./plugins/whoami.js";
import type { Plugin } from "./plugin.js";

/**
 * Every plugin, outermost first: the order of the chain, whatever the order in the Corefile.
 * Mirrors plugin.cfg of CoreDNS 1.14.7; `alias` and `multicluster` are where they are commonly compiled in.
 */
export const pluginOrder: readonly Plugin[] = [
  root,
  metadata,
  outside.geoip,
  cancel,
  outside.proxyproto,
  outside.quic,
  outside.grpcServer,
  outside.https,
  outside.https3,
  timeouts,
  outside.multisocket,
  reload,
  nsid,
  bufsize,
  bind,
  debug,
  outside.trace,
  ready,
  health,
  outside.pprof,
  outside.shed,
  prometheus,
  errors,
  log,
  outside.dnstap,
  local,
  dns64,
  any,
  chaos,
  loadbalance,
  outside.tsig,
  rewrite,
  autopath,
  acl,
  cache,
  header,
  outside.dnssec,
  outside.tls,
  minimal,
  template,
  transfer,
  hosts,
  outside.route53,
  outside.azure,
  outside.clouddns,
  k8sExternal,
  kubernetes,
  outside.multicluster,
  alias,
  file,
  auto,
  outside.secondary,
  outside.etcd,
  loop,
  forward,
  outside.grpc,
  erratic,
  whoami,
  outside.on,
  outside.sign,
  view,
  outside.nomad,
];

/** `1.14.1` stands for all releases up to it, those of kubeadm clusters to date. */
export type PluginEra = "1.14.7" | "1.14.1";

/** The chain's order in a release. Up to 1.14.1 `acl` and `cache` come before `rewrite`, and `autopath` after them. */
export function chainOrder(era: PluginEra = "1.14.7"): readonly string[] {
  if (era === "1.14.7") return directiveOrder;
  const moved = ["acl", "cache", "rewrite", "header", "dnssec", "autopath"];
  const rest = directiveOrder.filter((name) => name !== "tls" && !moved.includes(name));
  const order = rest.toSpliced(rest.indexOf("tsig") + 1, 0, ...moved);
  return order.toSpliced(order.indexOf("multisocket") + 1, 0, "tls");
}

/** The directives that a Corefile may use. */
export const directiveOrder: readonly string[] = pluginOrder.map((plugin) => plugin.name);
