import type { Hook } from "../../core/hooks.js";
import {
  NF_IP_PRI_FILTER,
  NF_IP_PRI_MANGLE,
  NF_IP_PRI_NAT_DST,
  NF_IP_PRI_NAT_SRC,
  NF_IP_PRI_RAW,
  NF_IP_PRI_SECURITY,
} from "../../core/hooks.js";

export type TableName = "raw" | "mangle" | "nat" | "filter" | "security";
/** The implementation behind the commands: nf_tables or ip_tables. */
export type Variant = "nft" | "legacy";

/** The base chains of each table, in hook order. */
export const BASE_CHAINS: Readonly<Record<TableName, readonly Hook[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
};

export const TABLE_NAMES: readonly TableName[] = ["raw", "mangle", "nat", "filter", "security"];

/** The order in which the nft variant saves tables. */
export const NFT_SAVE_ORDER: readonly TableName[] = ["mangle", "security", "raw", "filter", "nat"];

export function isTableName(name: string): name is TableName {
  return name in BASE_CHAINS && Object.hasOwn(BASE_CHAINS, name);
}

/** The hook of a base chain, or undefined for a user chain. */
export function baseHook(table: TableName, chain: string): Hook | undefined {
  return BASE_CHAINS[table].find((hook) => hook === chain);
}

/** The priority a table's chain registers with. nft puts security at 150. */
export function tablePriority(table: TableName, hook: Hook, variant: Variant): number {
  switch (table) {
    case "raw":
      return NF_IP_PRI_RAW;
    case "mangle":
      return NF_IP_PRI_MANGLE;
    case "nat":
      return hook === "PREROUTING" || hook === "OUTPUT" ? NF_IP_PRI_NAT_DST : NF_IP_PRI_NAT_SRC;
    case "filter":
      return NF_IP_PRI_FILTER;
    case "security":
      return variant === "nft" ? 150 : NF_IP_PRI_SECURITY;
  }
}
