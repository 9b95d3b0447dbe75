import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { isMapping } from "../load/check.js";
import { LIMITS } from "../load/documents.js";
import { type FieldPath, SourceText } from "../load/source-text.js";
import { CniFailure } from "./failure.js";
import { goJsonError } from "./go-json.js";
import { cniPlugins } from "./index.js";
import { checkNetworkName } from "./run.js";

/** A network configuration list: what a node's `/etc/cni/net.d` says. */
export interface Conflist {
  readonly file: string;
  readonly name: string;
  readonly cniVersion: string;
  /** The plugins in the order of ADD. */
  readonly plugins: readonly ConflistPlugin[];
}

export interface ConflistPlugin {
  readonly type: string;
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Plugins that exist and are not modelled; others are misspelt. */
const elsewhere: readonly string[] =
  `cilium-cni aws-cni kindnet weave-net antrea azure-vnet multus ovn-k8s-cni-overlay egress-cni`.split(
    /\s+/,
  );

/**
 * Reads a conflist, or a single plugin's `.conf` as a list of one. Throws UserError in libcni's words. Mirrors
 * github.com/containernetworking/cni/libcni/conf.go:NetworkConfFromBytes().
 */
export function parseConflist(text: string, file: string): Conflist {
  const source = new SourceText(file, text);
  const raw = parseJson(source);
  const refuse = (
    message: string,
    path: FieldPath = [],
    at: "key" | "value" = "key",
    help?: string,
    code = "CNI_CONFIG",
  ): never => {
    throw new UserError(code, message, { ...source.details(0, path, at), help });
  };
  if (!isMapping(raw))
    return refuse(
      "error parsing configuration list: json: cannot unmarshal into Go value of type map[string]interface {}",
    );
  const { name, cniVersion = "0.1.0" } = raw;
  if (name === undefined) return refuse("error parsing configuration list: no name");
  if (typeof name !== "string")
    return refuse("error parsing configuration list: invalid name type", ["name"], "value");
  try {
    checkNetworkName(name);
  } catch (error) {
    if (error instanceof CniFailure)
      return refuse(
        `${error.message}${error.detail === undefined ? "" : `: ${error.detail}`}`,
        ["name"],
        "value",
      );
    throw error;
  }
  if (typeof cniVersion !== "string")
    return refuse(
      "error parsing configuration list: invalid cniVersion type",
      ["cniVersion"],
      "value",
    );
  const single = !("plugins" in raw);
  const listed = single ? [raw] : raw["plugins"];
  if (!Array.isArray(listed))
    return refuse("error parsing configuration list: invalid 'plugins' type", ["plugins"], "value");
  if (listed.length === 0)
    return refuse("error parsing configuration list: no plugins in list", ["plugins"]);
  const plugins = listed.map((plugin: unknown, index): ConflistPlugin => {
    const path: FieldPath = single ? [] : ["plugins", index];
    if (!isMapping(plugin))
      return refuse(
        `error parsing configuration list: failed to parse plugin config ${index}`,
        path,
        "value",
      );
    const { type } = plugin;
    if (typeof type !== "string" || type === "")
      return refuse("error parsing configuration: missing 'type'", path, "value");
    if (!cniPlugins.some((known) => known.name === type)) {
      const near = nearest(type, [...cniPlugins.map((known) => known.name), ...elsewhere]);
      const help = near === undefined || near === type ? undefined : `did you mean "${near}"?`;
      const why = elsewhere.includes(type)
        ? `hopwise does not model the CNI plugin "${type}" yet`
        : `failed to find plugin "${type}" in path [/opt/cni/bin]`;
      const without = "without this file a bridge is assumed, and check says so";
      return refuse(why, [...path, "type"], "value", help ?? without, "CNI_PLUGIN");
    }
    return { type, raw: plugin };
  });
  return { file, name, cniVersion, plugins };
}

function parseJson(source: SourceText): unknown {
  const { text, file } = source;
  if (text.length > LIMITS.fileSize)
    throw new UserError(
      "LIMIT_FILE_SIZE",
      `${file} has ${text.length} characters, more than ${LIMITS.fileSize}`,
    );
  const mistake = goJsonError(text);
  if (mistake === undefined) return JSON.parse(text);
  const details = source.detailsOf({ start: mistake.offset, length: 1 });
  throw new UserError(
    "CNI_SYNTAX",
    `error parsing configuration list: ${mistake.message}`,
    details,
  );
}

/**
 * The configuration that a runtime takes from a directory: the first by file name that loads. An invalid one is passed
 * over as the runtime does, and told in `passedOver`, unless none is left; then its error is thrown. One with a plugin that
 * is not there, or not modelled, is not invalid to the runtime: its error is thrown, for no other list counts.
 */
export function chooseConflist(
  files: readonly { readonly file: string; readonly text: string }[],
  passedOver: UserError[] = [],
): Conflist | undefined {
  const baseName = (file: string): string => file.slice(file.lastIndexOf("/") + 1);
  const candidates = files
    .filter(({ file }) => /\.(conf|conflist|json)$/.test(file))
    .toSorted((a, b) => (baseName(a.file) < baseName(b.file) ? -1 : 1));
  let failure: unknown;
  for (const { file, text } of candidates) {
    try {
      return parseConflist(text, file);
    } catch (error) {
      if (!(error instanceof UserError) || error.code === "CNI_PLUGIN") throw error;
      failure ??= error;
      passedOver.push(error);
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

/** What a bridge based cluster has on every node; the addresses come from the node's pod CIDRs, one of each. */
export function defaultConflist(...podCidrs: readonly string[]): Conflist {
  const bridge = {
    type: "bridge",
    bridge: "cni0",
    isDefaultGateway: true,
    hairpinMode: true,
    ipMasq: false,
    ipam: { type: "host-local", ranges: podCidrs.map((subnet) => [{ subnet }]) },
  };
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  const plugins = [bridge, portmap].map((raw) => ({ type: raw.type, raw }));
  return { file: "(assumed 10-bridge.conflist)", name: "k8s", cniVersion: "1.0.0", plugins };
}

/** What flannel's manifest writes to every node. */
export function flannelConflist(): Conflist {
  const delegate = { hairpinMode: true, isDefaultGateway: true };
  const plugins = [
    { type: "flannel", delegate },
    { type: "portmap", capabilities: { portMappings: true } },
  ].map((raw) => ({ type: raw.type, raw }));
  return { file: "(assumed 10-flannel.conflist)", name: "cbr0", cniVersion: "0.3.1", plugins };
}

/** What Calico's manifest writes to every node. */
export function calicoConflist(): Conflist {
  const plugins = [
    { type: "calico", mtu: 0, ipam: { type: "calico-ipam" }, policy: { type: "k8s" } },
    { type: "bandwidth", capabilities: { bandwidth: true } },
    { type: "portmap", snat: true, capabilities: { portMappings: true } },
  ].map((raw) => ({ type: raw.type, raw }));
  return {
    file: "(assumed 10-calico.conflist)",
    name: "k8s-pod-network",
    cniVersion: "0.3.1",
    plugins,
  };
}

/**
 * A conflist with the word `usePodCidr`, or containerd's `{{.PodCIDR}}`, replaced by the node's first pod CIDR, and
 * `usePodCidrIPv6` by its IPv6 one.
 */
export function withPodCidr(conflist: Conflist, ...podCidrs: readonly string[]): Conflist {
  const [first] = podCidrs;
  const second = podCidrs.find((text) => text.includes(":"));
  const replace = (value: unknown): unknown => {
    if (value === "usePodCidr" || value === "{{.PodCIDR}}") return first ?? value;
    if (value === "usePodCidrIPv6") return second ?? value;
    if (Array.isArray(value)) return value.map(replace);
    return isMapping(value)
      ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, replace(part)]))
      : value;
  };
  const plugins = conflist.plugins.map(({ type, raw }) => ({
    type,
    raw: replace(raw) as ConflistPlugin["raw"],
  }));
  return { ...conflist, plugins };
}
