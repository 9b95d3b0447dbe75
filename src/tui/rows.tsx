import { Text } from "ink";
import type { ReactNode } from "react";

/**
 * Rows that are exactly as wide as their place, a text each: Ink keeps the measure of every text it has seen, and rows
 * come again while whole panes do not.
 */
export function Rows({ lines }: { readonly lines: readonly string[] }): ReactNode {
  return lines.map((line, index) => (
    // A row is its place: there is nothing else to know it by.
    // oxlint-disable-next-line react/no-array-index-key
    <Text key={index} wrap="truncate-end">
      {line}
    </Text>
  ));
}
