import type { LoadBalancerIngress } from "kubernetes-types/core/v1.js";
import { parseAddress, parseCidr, type Address, type Cidr, type IpFamily } from "./addresses.js";
import { at, type FieldPath, type ObjectRef, type ProxyNote } from "./objects.js";

/** An address that reaches a service, and the field that says so. */
export interface Vip {
  readonly address: Address;
  readonly object: ObjectRef;
}

/** Reads the addresses of one service: those of another family are left out, unreadable ones are noted. */
export class VipReader {
  readonly #object: ObjectRef;
  readonly #family: IpFamily;
  readonly #notes: ProxyNote[];

  constructor(object: ObjectRef, family: IpFamily, notes: ProxyNote[]) {
    this.#object = object;
    this.#family = family;
    this.#notes = notes;
  }

  /** Mirrors pkg/proxy/util:GetClusterIPByFamily(). */
  firstClusterIP(
    clusterIPs: readonly string[] | undefined,
    clusterIP: string | undefined,
  ): Vip | undefined {
    if (clusterIP === undefined || clusterIP === "" || clusterIP === "None") {
      if (clusterIPs === undefined || clusterIPs.length === 0 || clusterIPs[0] === "None")
        return undefined;
    }
    if (clusterIPs !== undefined && clusterIPs.length > 0)
      return this.read(clusterIPs, ["spec", "clusterIPs"])[0];
    return this.#one(clusterIP ?? "", at(this.#object, "spec", "clusterIP"));
  }

  read(texts: readonly string[], path: FieldPath): Vip[] {
    return texts.flatMap((text, index) => this.#one(text, at(this.#object, ...path, index)) ?? []);
  }

  /** An ingress without an IP, or one whose ipMode is Proxy, is not captured. */
  ofLoadBalancer(ingress: readonly LoadBalancerIngress[]): Vip[] {
    return ingress.flatMap(({ ip, ipMode = "VIP" }, index) => {
      if (ip === undefined || ip === "" || ipMode !== "VIP") return [];
      return (
        this.#one(ip, at(this.#object, "status", "loadBalancer", "ingress", index, "ip")) ?? []
      );
    });
  }

  ranges(texts: readonly string[]): Cidr[] {
    return texts.flatMap((text, index) => {
      const cidr = parseCidr(text.trim());
      if (cidr === undefined) {
        const object = at(this.#object, "spec", "loadBalancerSourceRanges", index);
        this.#notes.push({
          object,
          message: `${JSON.stringify(text)} is not a CIDR and is ignored`,
        });
      }
      return cidr?.family === this.#family ? cidr : [];
    });
  }

  #one(text: string, object: ObjectRef): Vip | undefined {
    const address = parseAddress(text);
    if (address === undefined) {
      this.#notes.push({
        object,
        message: `${JSON.stringify(text)} is not an IP address and is ignored`,
      });
    }
    return address?.family === this.#family ? { address, object } : undefined;
  }
}
