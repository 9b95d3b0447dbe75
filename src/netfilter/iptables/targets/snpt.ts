import type { TargetExtension } from "../extension.js";
import { prefixTranslation } from "./prefix-translation.js";

/** `-j SNPT` of IPv6: another prefix for the source. */
export const snpt: TargetExtension = prefixTranslation("SNPT", ["INPUT", "POSTROUTING"]);
