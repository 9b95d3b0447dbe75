import { type Random, randomBetween, seededRandom } from "../../src/base/random.js";

/*
 * Random steps on the small shop: two UDP endpoints of which one at most is ready, so that nothing is drawn by chance,
 * clients that keep their ports, pods that go and come back, a policy that is turned on and off over open connections.
 */

const echoPod = (n: number): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: echo-${n}, namespace: shop, labels: {app: echo}}, spec: {nodeName: worker-2, containers: [{name: c, ports: [{containerPort: 7, protocol: UDP}]}]}}`;

/** Ports that random scenarios may name. */
export const randomPorts: readonly number[] = [
  7,
  5432,
  ...Array.from({ length: 20 }, (_, n) => 40_000 + n),
];

/** The steps of a seed, as a scenario has them. */
export function randomSteps(seed: number, count: number): string {
  const generator = new Generator(seededRandom(seed));
  const steps = [...generator.begin()];
  for (let n = 0; n < count; n++) steps.push(...generator.step());
  return steps.map((step) => `  - ${step}\n`).join("");
}

class Generator {
  readonly #random: Random;
  readonly #alive = [true, true];
  #ready: number | undefined = 0;
  #allowed = true;
  #opened = 0;
  readonly #udp: string[] = [];
  readonly #tcp: string[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  begin(): readonly string[] {
    return [
      "apply: {apiVersion: v1, kind: Service, metadata: {name: echo, namespace: shop}, spec: {clusterIP: 10.96.44.70, selector: {app: echo}, ports: [{name: echo, port: 7, protocol: UDP}]}}",
      `apply: ${echoPod(0)}`,
      `apply: ${echoPod(1)}`,
      "ready: {shop/echo-1: false}",
    ];
  }

  step(): readonly string[] {
    const kinds = [
      () => this.#openUdp(),
      () => this.#sendOn(this.#udp),
      () => this.#sendOn(this.#udp),
      () => this.#openTcp(),
      () => this.#sendOn(this.#tcp),
      () => this.#turnReady(),
      () => this.#policy(),
      () => this.#deleteOrApply(),
    ];
    return kinds[randomBetween(this.#random, 0, kinds.length - 1)]?.() ?? [];
  }

  #open(from: string, to: string, protocol: "tcp" | "udp"): string {
    const name = `${protocol}-${this.#opened}`;
    const sport = 40_000 + (this.#opened++ % 20);
    (protocol === "tcp" ? this.#tcp : this.#udp).push(name);
    return `open: {name: ${name}, from: ${from}, to: "${to}", proto: ${protocol}, sport: ${sport}, for: 300ms}`;
  }

  #openUdp(): readonly string[] {
    const from = this.#random() < 0.5 ? "shop/web-0" : "shop/db-0";
    return [this.#open(from, "shop/echo:7", "udp")];
  }

  /** Only while it is allowed: when a refusal reaches a socket that is just connecting is up to the processor. */
  #openTcp(): readonly string[] {
    return this.#allowed ? [this.#open("shop/api-0", "shop/db-0:5432", "tcp")] : [];
  }

  #sendOn(names: readonly string[]): readonly string[] {
    const name = names[randomBetween(this.#random, 0, Math.max(0, names.length - 1))];
    return name === undefined ? [] : [`send: {on: ${name}, for: 300ms}`];
  }

  #turnReady(): readonly string[] {
    const steps = this.#ready === undefined ? [] : [`ready: {shop/echo-${this.#ready}: false}`];
    const next = randomBetween(this.#random, 0, 2);
    this.#ready = this.#alive[next] === true ? next : undefined;
    return this.#ready === undefined ? steps : [...steps, `ready: {shop/echo-${next}: true}`];
  }

  #policy(): readonly string[] {
    this.#allowed = !this.#allowed;
    const from = this.#allowed
      ? "[{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]"
      : "[]";
    return [`patch: {object: netpol shop/db-from-api, merge: {spec: {ingress: ${from}}}}`];
  }

  #deleteOrApply(): readonly string[] {
    const n = randomBetween(this.#random, 0, 1);
    const wasAlive = this.#alive[n] === true;
    this.#alive[n] = !wasAlive;
    if (wasAlive) {
      if (this.#ready === n) this.#ready = undefined;
      return [`delete: {object: pod shop/echo-${n}, grace: 0s}`];
    }
    // A pod is ready when it comes: the other one is not any more.
    const steps = this.#ready === undefined ? [] : [`ready: {shop/echo-${this.#ready}: false}`];
    this.#ready = n;
    return [...steps, `apply: ${echoPod(n)}`];
  }
}
