import { throwCollected, UserError } from "../base/errors.js";
import { buildCluster, type Cluster } from "../kube/cluster.js";
import { chooseConflist, type Conflist } from "../kube/cni/conflist.js";
import { type InputText, loadObjects, type LoadResult, type Note } from "../kube/load.js";
import type { ResolverTable } from "../kube/dns/resolver-file.js";
import { validatePolicies } from "../kube/policy/validate.js";
import { policyObjectsOf } from "../kube/policy/world.js";
import type { TextKind } from "../kube/recognise.js";
import { clusterLab } from "./cluster-lab.js";
import type { Lab } from "./lab.js";
import { parseLab } from "./lab-file.js";
import { readResolvers } from "./resolvers.js";
import { readClusterDumps } from "./recorded/cluster-records.js";
import { isNodeKind, kindOfDump, ownerOf } from "./recorded/dump-files.js";
import type { NodeRecord } from "./recorded/node-record.js";
import { readRecorded, type RecordedParts } from "./recorded/recorded-world.js";
import type { ExtraCommand } from "./what-if/node-settings.js";

/** A text of a world and what it was taken for. */
export interface WorldFile extends InputText {
  readonly kind: TextKind;
}

/** A Kubernetes cluster from its objects, with what people added to its nodes. */
export interface ClusterWorld {
  readonly kind: "cluster";
  /** As given with -w. */
  readonly name: string;
  readonly files: readonly WorldFile[];
  readonly cluster: Cluster;
  /** Rules in files called NODE.rules, restored when the node starts. */
  readonly nodeRules: ReadonlyMap<string, InputText>;
  /** What was recorded of nodes, by name; it wins over what is rendered for them. */
  readonly records: ReadonlyMap<string, NodeRecord>;
  /** A Corefile beside the objects; it wins over the coredns ConfigMap. */
  readonly corefile: InputText | undefined;
  /** Resolvers outside of the cluster, and what they answer. */
  readonly resolvers: ResolverTable;
  /** What a what-if does to namespaces, when all else is built. */
  readonly extra?: readonly ExtraCommand[] | undefined;
}

/** Namespaces and links without Kubernetes. */
export interface LabWorld {
  readonly kind: "lab";
  readonly name: string;
  readonly files: readonly WorldFile[];
  readonly lab: Lab;
}

/** Dumps of nodes without Kubernetes objects. */
export interface RecordedWorld extends RecordedParts {
  readonly kind: "recorded";
  readonly name: string;
  readonly files: readonly WorldFile[];
}

export type World = ClusterWorld | LabWorld | RecordedWorld;

export interface WorldOptions {
  /** Addresses of devices that no dump tells: `eth0=192.0.2.10/24`. */
  readonly addresses?: readonly string[];
  /** Changes the objects that were read before anything is made of them. */
  readonly edit?: ((load: LoadResult) => LoadResult) | undefined;
  /** Pods that are taken out when the workloads have made theirs; asked for when `edit` has run. */
  readonly missing?: ReadonlySet<string> | undefined;
}

/**
 * Reads a world from its texts; each kind is found by content. Throws UserError or UserErrors for what is wrong in
 * them, and for a world that holds nothing to send a packet in.
 */
export function loadWorld(
  texts: readonly InputText[],
  name: string,
  options: WorldOptions = {},
): World {
  const files = texts.map((text) => ({ ...text, kind: kindOfDump(text) }));
  const lab = files.find(({ kind }) => kind === "lab");
  if (lab !== undefined) {
    const other = files.find((file) => file !== lab);
    if (other !== undefined)
      throw new UserError(
        "WORLD_MIXED",
        `${lab.file} is a lab, which stands alone, and ${other.file} is there too`,
      );
    return { kind: "lab", name, files, lab: parseLab(lab.file, lab.text) };
  }
  const objects = files.filter(({ kind }) => kind === "kubernetes");
  const { addresses = [] } = options;
  if (objects.length === 0 && files.some(({ kind }) => isNodeKind(kind)))
    return { kind: "recorded", name, files, ...readRecorded(name, files, addresses) };
  if (objects.length === 0) throw noObjects(files, name);
  if (addresses.length > 0)
    throw new UserError("ADDR_CLUSTER", "--addr is for dumps without Kubernetes objects", {
      help: "a cluster's objects tell the addresses of its nodes",
    });
  const passedOver: UserError[] = [];
  const conflists = files.filter(({ kind }) => kind === "conflist");
  const conflist = chooseConflist(conflists, passedOver);
  const read = loadObjects(objects);
  const made = buildCluster(options.edit?.(read) ?? read, {
    conflist,
    missing: options.missing,
  });
  const cluster = {
    ...made,
    notes: [...made.notes, ...conflistNotes(conflist, passedOver, conflists)],
  };
  throwCollected(validatePolicies(policyObjectsOf(cluster)));
  const dumps = readClusterDumps(files, cluster);
  return {
    kind: "cluster",
    name,
    files,
    cluster,
    nodeRules: dumps.added,
    records: dumps.records,
    corefile: files.find(({ kind }) => kind === "corefile"),
    resolvers: readResolvers(files),
  };
}

/** The whole world as a lab: every node and pod. */
export function labOf(world: World): Lab {
  return world.kind === "cluster" ? clusterLab(world).lab : world.lab;
}

/** Files that hopwise reads nothing from yet. */
export function unusedFiles(world: World): readonly WorldFile[] {
  if (world.kind === "recorded") return world.files.filter(({ kind }) => !isNodeKind(kind));
  const used = ["kubernetes", "lab", "conflist", "corefile", "resolvers", "zone"];
  const ofNodes = [
    ...["iptables-save", "ipset-save", "conntrack", "sysctl", "ip-addr", "ip-link"],
    ...[
      "ip-route",
      "ip-rule",
      "ip-neigh",
      "bridge-fdb",
      "bridge-mdb",
      "sockets",
      "nft",
      "ipvsadm-save",
    ],
  ];
  return world.files.filter(
    ({ kind, file }) =>
      !used.includes(kind) && !(ofNodes.includes(kind) && ownerOf(file).host === undefined),
  );
}

/** Which of several CNI configurations counts, what is wrong with those that do not load, and that others are not used. */
function conflistNotes(
  conflist: Conflist | undefined,
  passedOver: readonly UserError[],
  files: readonly WorldFile[],
): readonly Note[] {
  const broken = passedOver.map(({ message, details: { place } }) => ({
    text: `CNI configuration passed over, as runtimes do: ${message}${conflist === undefined ? "" : `; ${conflist.file} counts`}`,
    place,
  }));
  if (conflist === undefined) return broken;
  const used = files.find(({ file }) => file === conflist.file);
  const refused = new Set(passedOver.map(({ details: { place } }) => place?.file));
  const [first, ...more] = files.filter(
    ({ file, text }) => text !== used?.text && !refused.has(file),
  );
  if (first === undefined) return broken;
  const others = more.length === 0 ? "" : `, nor ${more.length} more`;
  const text = `CNI configuration ${first.file} is not used${others}: ${conflist.file} comes first by name, as runtimes choose`;
  return [...broken, { text, place: { file: first.file, line: 1, column: 1 } }];
}

function noObjects(files: readonly WorldFile[], name: string): UserError {
  const kinds = [...new Set(files.map(({ kind }) => kind))].filter((kind) => kind !== "unknown");
  const found = kinds.length === 0 ? "nothing that hopwise reads" : `only ${kinds.join(", ")}`;
  const [unknown] = files;
  return new UserError("WORLD_EMPTY", `no Kubernetes objects and no lab in ${name}: ${found}`, {
    place: unknown === undefined ? undefined : { file: unknown.file, line: 1, column: 1 },
    help: "a world is `kubectl get -A -o yaml` output, manifests, or a lab file; hopwise show pods -w demo:shop shows one",
  });
}
