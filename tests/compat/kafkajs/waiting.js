'use strict'

/** How long anything may take before it counts as not happening. Far longer than it ever takes. */
const PATIENCE_MS = 60_000

/** What has happened so far, in order, and a way to wait until that is enough. */
class Happenings {
  #all = []
  #waiting = new Set()

  add(one) {
    this.#all.push(one)
    for (const look of this.#waiting) look()
  }

  get all() {
    return this.#all
  }

  /** Waits until `enough(all)` holds; fails with what was awaited and what was there instead. */
  until(awaited, enough) {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.#waiting.delete(look)
        const last = JSON.stringify(this.#all.slice(-10))
        reject(new Error(`in vain: ${awaited}; instead, at the end of ${this.#all.length}: ${last}`))
      }, PATIENCE_MS)
      const look = () => {
        if (!enough(this.#all)) return
        clearTimeout(deadline)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}

exports.Happenings = Happenings
