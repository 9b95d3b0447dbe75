import type { Place } from "../base/errors.js";
import type { MadeFor, MadeLine, RuleMaker } from "../core/recording.js";
import type { Cluster, ClusterPod } from "../kube/cluster.js";
import { keyOf, type HasMetadata, type Loaded, nameOf, namespaceOf } from "../kube/objects.js";
import type { ObjectRef } from "../kube/proxy/objects.js";
import type { RenderedText } from "../kube/proxy/rendered-text.js";
import type { LabCommand } from "../tools/command.js";
import { objectsOf } from "./named-object.js";

/** The maker of a rendered text: every line knows its objects, and each of these where it stands. */
export function renderedMaker(
  name: string,
  { origins }: RenderedText,
  cluster: Cluster,
): RuleMaker {
  const byLine = new Map<number, string>();
  origins.forEach(({ objects, by }, index) => {
    const made = objects.map((ref) => `${ref.kind} ${refName(ref)}`);
    byLine.set(index + 1, made.length === 0 ? by : made.join(", "));
  });
  return {
    name,
    origins: byLine,
    line: (number) => {
      const origin = origins[number - 1];
      if (origin === undefined) return undefined;
      const { by, objects, why } = origin;
      return { by, why, objects: objects.map((ref) => madeFor(cluster, ref)) };
    },
  };
}

/**
 * The maker of what a CNI plugin writes for one pod, and the command under a name that only this pod's rules have:
 * `worker-1/cni-shop.api-0-portmap.rules`.
 */
export function podRules(
  command: LabCommand,
  pod: ClusterPod,
  node: string,
): { readonly command: LabCommand; readonly file: string; readonly maker: RuleMaker } {
  const plugin = (command.stdinName ?? "").replace(/^\(|\)$/g, "");
  const [type = "plugin", ...what] = plugin.split(" ");
  const file = `${node}/cni-${pod.namespace}.${pod.name}-${plugin.replaceAll(" ", "-")}.rules`;
  const by = `CNI plugin ${type}`;
  const why = `${what.join(" ") || (REASONS[type] ?? type)} of pod ${pod.key}`;
  const title = `Pod ${pod.key}`;
  const object = lazily("Pod", pod.key, () => placeOf(pod.loaded, fieldOf(type, pod)));
  return {
    command: { ...command, stdinName: file },
    file,
    maker: everyLine("CNI", command.stdin ?? "", title, { by, why, objects: [object] }),
  };
}

/** What plugins write rules for, where their name alone does not say it. */
const REASONS: Readonly<Record<string, string>> = {
  portmap: "host ports",
  firewall: "forwarding from and to the address",
};

/** The maker of the rules of an agent that masquerades, on one node. */
export function agentMaker(agent: string, stdin: string, node: string): RuleMaker {
  const why = "what leaves the cluster goes out with the node's address";
  return everyLine(agent, stdin, `Node ${node}`, { by: agent, why, objects: [] });
}

/** The maker of Felix's rules of a node's nat table. */
export function felixMaker(stdin: string, node: string): RuleMaker {
  const why = "what leaves Calico's pools goes out with the node's address";
  return everyLine("felix", stdin, `Node ${node}`, { by: "Calico's felix", why, objects: [] });
}

/** The maker of flanneld's rules on one node: its ConfigMap asks for them. */
export function flannelMaker(stdin: string, node: string, cluster: Cluster): RuleMaker {
  const config = cluster.configMaps.find(
    ({ object }) =>
      nameOf(object) === "kube-flannel-cfg" && object.data?.["net-conf.json"] !== undefined,
  );
  const objects = [
    ...(config === undefined
      ? []
      : [
          lazily("ConfigMap", keyOf(config.object), () =>
            placeOf(config, ["data", "net-conf.json"]),
          ),
        ]),
    lazily("Node", node, () => {
      const found = cluster.nodes.find(({ name }) => name === node);
      return found === undefined ? undefined : placeOf(found.loaded, ["spec", "podCIDR"]);
    }),
  ];
  const title = objects.map(({ kind, name }) => `${kind} ${name}`).join(", ");
  return everyLine("flannel", stdin, title, {
    by: "flannel",
    why: "pods of all nodes reach each other with their own addresses, others by the node's",
    objects,
  });
}

function everyLine(name: string, text: string, title: string, made: MadeLine): RuleMaker {
  const count = text.split("\n").length;
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return {
    name,
    origins: new Map(numbers.map((number) => [number, title])),
    line: (number) => (number >= 1 && number <= count ? made : undefined),
  };
}

/** Host ports stand in the container that asks for them; everything else follows from the pod itself. */
function fieldOf(plugin: string, { loaded }: ClusterPod): readonly (string | number)[] {
  if (plugin !== "portmap") return [];
  const containers = loaded.object.spec?.containers ?? [];
  const asking = containers.findIndex(({ ports = [] }) =>
    ports.some(({ hostPort = 0 }) => hostPort !== 0),
  );
  return asking < 0 ? [] : ["spec", "containers", asking, "ports"];
}

function refName({ namespace, name }: ObjectRef): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

function madeFor(cluster: Cluster, { kind, namespace, name, path }: ObjectRef): MadeFor {
  const found = (): Loaded<HasMetadata> | undefined =>
    objectsOf(cluster, kind).find(
      ({ object }) =>
        nameOf(object) === name && (namespace === "" || namespaceOf(object) === namespace),
    );
  return {
    kind,
    name: namespace === "" ? name : `${namespace}/${name}`,
    path,
    get place() {
      const loaded = found();
      return loaded === undefined ? undefined : placeOf(loaded, path);
    },
  };
}

/** A place is looked up when it is asked for: to find it the whole text may have to be read again. */
function lazily(kind: string, name: string, find: () => Place | undefined): MadeFor {
  return {
    kind,
    name,
    get place() {
      return find();
    },
  };
}

/** What hopwise made up stands nowhere; what it made from an object of the user's stands where that does. */
function placeOf(
  { origin }: Loaded<HasMetadata>,
  path: readonly (string | number)[],
): Place | undefined {
  return origin.assumed === undefined ? origin.placeOf(path) : undefined;
}
