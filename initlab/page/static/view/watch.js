/** What to watch: a sentence for the lecture, for each start of the gallery, and for one's own. */
import { GALLERY } from "../lab/gallery.js";
import { checkState, defaultState } from "../lab/settings.js";

const LECTURE =
  "Watch the squares, the hidden units. In A all weights are zero: its four units compute the same, get the same gradient, and stay copies of each other. In B they begin at small random numbers. Press Play, or the space bar, and see which side learns.";
const OWN = "A setting of your own. Press Play, or the space bar, and watch what the start makes of it.";

/** The state that the page opens with: A starts at zero, B at small random numbers. */
export function lecture() {
  const state = defaultState();
  const begin = (scheme, scale) => {
    const [side] = defaultState().sides;
    return { ...side, start: { ...side.start, scheme, scale } };
  };
  return checkState({ ...state, sides: [begin("zeros", 0), begin("normal", 0.01)] });
}

/**
 * @param {object} state a whole one
 * @returns {{text: string, name: string|null}} the sentence, and the gallery's entry that it is of
 */
export function watchFor(state) {
  const key = (value) => JSON.stringify(value);
  const entry = GALLERY.find((each) => key(checkState(each.state)) === key(state));
  if (entry) return { text: `${entry.title}. ${entry.sentence}`, name: entry.name };
  // The lecture is true of every seed.
  const isLecture = key({ ...state, seed: 0 }) === key(lecture());
  return { text: isLecture ? LECTURE : OWN, name: null };
}
