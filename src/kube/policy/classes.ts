import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { IpAddress } from "../../wire/ip.js";
import { labelOf, type Labels, matchesSelector } from "../selectors.js";
import {
  addTo,
  type Bitset,
  emptySet,
  fullSet,
  intersectInto,
  removeFrom,
  uniteInto,
} from "./bitset.js";
import { type Cidr, cidrContains, formatCidr } from "./cidr.js";
import { isOnNode } from "./oracle.js";
import type { Vocabulary } from "./vocabulary.js";
import { addressOf, type Endpoint, type PolicyWorld } from "./world.js";

/** Endpoints that no policy can tell apart. The first one stands for all. */
export interface EndpointClass {
  readonly key: string;
  readonly example: Endpoint;
  /** Pods that policies govern and selectors see; not addresses, and not pods that count as their node. */
  readonly governed: boolean;
  readonly families: Families;
}

/** Bit 0: has an IPv4 address; bit 1: has an IPv6 address. */
export type Families = 0 | 1 | 2 | 3;

/** The classes of a world, with an index from labels to classes. Sets of classes are `Bitset`s of class numbers. */
export class Universe {
  readonly vocabulary: Vocabulary;
  readonly classes: readonly EndpointClass[];
  readonly numbers: ReadonlyMap<string, number>;
  /** The namespaces whose labels the keys stand for. */
  readonly namespaces: ReadonlyMap<string, Labels>;
  readonly all: Bitset;
  readonly governed: Bitset;
  readonly none: Bitset;
  /** Classes with an IPv4 address. */
  readonly has4: Bitset;
  readonly #byNamespace = new Map<string, Bitset>();
  readonly #byLabel = new Map<string, Map<string, Bitset>>();
  readonly #byPort = new Map<string, Bitset>();
  readonly #selectors = new Map<string, Bitset>();

  constructor(vocabulary: Vocabulary, classes: readonly EndpointClass[], world: PolicyWorld) {
    this.vocabulary = vocabulary;
    this.classes = classes;
    this.namespaces = world.namespaces;
    this.numbers = new Map(classes.map(({ key }, number) => [key, number]));
    this.all = fullSet(classes.length);
    this.none = emptySet(classes.length);
    this.governed = emptySet(classes.length);
    this.has4 = emptySet(classes.length);
    for (const [number, each] of classes.entries()) this.#enter(number, each);
  }

  #enter(number: number, { example, governed, families }: EndpointClass): void {
    if ((families & 1) !== 0) addTo(this.has4, number);
    if (!governed || example.kind !== "pod") return;
    addTo(this.governed, number);
    addTo(this.#slot(this.#byNamespace, example.namespace), number);
    for (const key of this.vocabulary.podKeys) {
      const value = labelOf(example.labels, key);
      if (value === undefined) continue;
      const values = this.#byLabel.get(key) ?? new Map<string, Bitset>();
      this.#byLabel.set(key, values);
      addTo(this.#slot(values, value), number);
    }
    for (const { name, protocol, number: port } of example.ports) {
      if (name === undefined || !this.vocabulary.portNames.has(name)) continue;
      addTo(this.#slot(this.#byPort, portKey(name, protocol, port)), number);
    }
  }

  #slot(sets: Map<string, Bitset>, key: string): Bitset {
    const known = sets.get(key) ?? emptySet(this.classes.length);
    sets.set(key, known);
    return known;
  }

  inNamespace(name: string): Bitset {
    return this.#byNamespace.get(name) ?? this.none;
  }

  /** Pods that declare a port of this name, protocol and number. */
  declaring(name: string, protocol: string, port: number): Bitset {
    return this.#byPort.get(portKey(name, protocol, port)) ?? this.none;
  }

  /** Pods in the namespaces that match. */
  inNamespaces(selector: LabelSelector): Bitset {
    return this.#memo(`n${JSON.stringify(selector)}`, () => {
      const set = emptySet(this.classes.length);
      for (const [name, members] of this.#byNamespace) {
        if (matchesSelector(selector, this.namespaces.get(name))) uniteInto(set, members);
      }
      return set;
    });
  }

  /** Pods of any namespace whose labels match. */
  pods(selector: LabelSelector): Bitset {
    return this.#memo(`p${JSON.stringify(selector)}`, () => {
      const set = this.governed.slice();
      for (const [key, value] of Object.entries(selector.matchLabels ?? {}))
        intersectInto(set, this.#byLabel.get(key)?.get(value) ?? this.none);
      for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
        const listed = operator === "In" || operator === "NotIn" ? values : undefined;
        const found = this.#withLabel(key, listed);
        if (operator === "In" || operator === "Exists") intersectInto(set, found);
        else removeFrom(set, found);
      }
      return set;
    });
  }

  /** Classes whose address of a family lies in a block. */
  inBlock(cidr: Cidr, podsToo: boolean): Bitset {
    return this.#memo(`b${podsToo}${formatCidr(cidr)}`, () => this.#inBlock(cidr, podsToo));
  }

  #inBlock(cidr: Cidr, podsToo: boolean): Bitset {
    const set = emptySet(this.classes.length);
    for (const [number, { example, governed }] of this.classes.entries()) {
      if (governed && !podsToo) continue;
      const address = addressOf(example, cidr.family);
      if (address !== undefined && cidrContains(cidr, address)) addTo(set, number);
    }
    return set;
  }

  /** Classes that are no pods and have one of these addresses. */
  withAddress(addresses: ReadonlySet<IpAddress>, family: 4 | 6): Bitset {
    const set = emptySet(this.classes.length);
    for (const [number, { example, governed }] of this.classes.entries()) {
      const address = governed ? undefined : addressOf(example, family);
      if (address !== undefined && addresses.has(address)) addTo(set, number);
    }
    return set;
  }

  /** Pods with a label of this key, and one of these values if a list is given. */
  #withLabel(key: string, values: readonly string[] | undefined): Bitset {
    const set = emptySet(this.classes.length);
    const known = this.#byLabel.get(key);
    for (const value of values ?? known?.keys() ?? [])
      uniteInto(set, known?.get(value) ?? this.none);
    return set;
  }

  #memo(key: string, make: () => Bitset): Bitset {
    const known = this.#selectors.get(key) ?? make();
    this.#selectors.set(key, known);
    return known;
  }
}

function portKey(name: string, protocol: string, port: number): string {
  return `${name} ${protocol} ${port}`;
}

/** Where the members of a world are in a universe. */
export interface Membership {
  readonly universe: Universe;
  readonly endpoints: readonly Endpoint[];
  /** The class number of each endpoint. */
  readonly classOf: Uint32Array;
  /** How many endpoints each class has; 0 for those of an earlier world. */
  readonly sizes: Uint32Array;
}

/**
 * Puts the pods of a world, and addresses besides, into classes. With `previous`, its universe is kept when it already has
 * a class for everybody: what was computed for its classes then holds for this world too.
 */
export function classify(
  world: PolicyWorld,
  addresses: readonly IpAddress[],
  vocabulary: Vocabulary,
  previous: Universe | undefined,
): Membership {
  const endpoints: readonly Endpoint[] = [
    ...world.pods,
    ...addresses.map((address) => ({ kind: "address", address }) as const),
  ];
  const keys = keysOf(world, endpoints, vocabulary);
  const universe =
    previous !== undefined && keys.every((key) => previous.numbers.has(key))
      ? previous
      : new Universe(vocabulary, distinct(world, endpoints, keys), world);
  const classOf = new Uint32Array(keys.map((key) => universe.numbers.get(key) ?? 0));
  const sizes = new Uint32Array(universe.classes.length);
  for (const number of classOf) sizes[number] = (sizes[number] ?? 0) + 1;
  return { universe, endpoints, classOf, sizes };
}

function distinct(
  world: PolicyWorld,
  endpoints: readonly Endpoint[],
  keys: readonly string[],
): readonly EndpointClass[] {
  const found = new Map<string, EndpointClass>();
  for (const [at, example] of endpoints.entries()) {
    const key = keys[at] ?? "";
    if (found.has(key)) continue;
    const governed = example.kind === "pod" && !isOnNode(world, example);
    const four = addressOf(example, 4) === undefined ? 0 : 1;
    const six = addressOf(example, 6) === undefined ? 0 : 2;
    found.set(key, { key, example, governed, families: (four | six) as Families });
  }
  return [...found.values()];
}

function keysOf(
  world: PolicyWorld,
  endpoints: readonly Endpoint[],
  vocabulary: Vocabulary,
): readonly string[] {
  const podKeys = [...vocabulary.podKeys].toSorted();
  const namespaceKeys = [...vocabulary.namespaceKeys].toSorted();
  const blocks = [
    ...(world.dialect.ipBlockMatchesPods ? vocabulary.blocks.values() : []),
    ...vocabulary.networks.values(),
  ];
  const ranges = new Ranges(blocks);
  const namespaces = new Map<string, string>();
  const namespaceKey = (name: string): string => {
    const known =
      namespaces.get(name) ?? `${name}\n${labelKey(world.namespaces.get(name), namespaceKeys)}`;
    namespaces.set(name, known);
    return known;
  };
  return endpoints.map((endpoint) => {
    if (endpoint.kind === "address") return `a${endpoint.address}`;
    if (isOnNode(world, endpoint)) return `h${endpoint.addresses.join(",")}`;
    const ports = endpoint.ports
      .filter(({ name }) => name !== undefined && vocabulary.portNames.has(name))
      .map(({ name, protocol, number }) => `${name} ${protocol} ${number}`);
    const places = ([4, 6] as const).map((family) => ranges.find(addressOf(endpoint, family)));
    return [
      namespaceKey(endpoint.namespace),
      labelKey(endpoint.labels, podKeys),
      ports.toSorted().join(","),
      places.join(","),
    ].join("\n");
  });
}

/** The labels of some keys as one text; different for different labels. */
function labelKey(labels: Labels | undefined, keys: readonly string[]): string {
  let text = "";
  for (const key of keys) {
    const value = labelOf(labels, key);
    text += value === undefined ? "-" : `=${value}`;
    text += "\t";
  }
  return text;
}

/** The stretches between the borders of all blocks: addresses of one stretch lie in the same blocks. */
class Ranges {
  readonly #borders: { readonly 4: readonly bigint[]; readonly 6: readonly bigint[] };

  constructor(blocks: readonly Cidr[]) {
    const of = (family: 4 | 6): readonly bigint[] => {
      const own = blocks.filter((block) => block.family === family);
      const borders = own.flatMap(({ address, length }) => {
        const first = BigInt(address);
        return [first, first + (1n << BigInt((family === 4 ? 32 : 128) - length))];
      });
      return [...new Set(borders)].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    };
    this.#borders = { 4: of(4), 6: of(6) };
  }

  /** The number of the stretch; `-` for no address. */
  find(address: IpAddress | undefined): string {
    if (address === undefined) return "-";
    const borders = this.#borders[typeof address === "number" ? 4 : 6];
    const wanted = BigInt(address);
    let low = 0;
    let high = borders.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((borders[middle] ?? 0n) <= wanted) low = middle + 1;
      else high = middle;
    }
    return String(low);
  }
}
