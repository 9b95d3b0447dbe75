/** The lengths of the nets of one dimension that are in use, longest first. Mirrors mtype_add_cidr() and mtype_del_cidr(). */
export class PrefixLengths {
  readonly #counts = new Map<number, number>();
  #lengths: readonly number[] = [];

  get lengths(): readonly number[] {
    return this.#lengths;
  }

  change(length: number, by: 1 | -1): void {
    const count = (this.#counts.get(length) ?? 0) + by;
    if (count > 0) this.#counts.set(length, count);
    else this.#counts.delete(length);
    if (count === 0 || (count === 1 && by === 1))
      this.#lengths = [...this.#counts.keys()].toSorted((a, b) => b - a);
  }
}
