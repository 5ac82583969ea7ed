/** The page as a whole: the state, the clock, the workers, and who is told of what. */
import { checkState } from "../lab/settings.js";
import { boundsOf } from "./boundary.js";
import { createCards } from "./cards.js";
import { createClient } from "./client.js";
import { createClock } from "./clock.js";
import { createCommon } from "./common.js";
import { createCurves } from "./curves.js";
import { byId } from "./dom.js";
import { button } from "./fields.js";
import { createHistory } from "./history.js";
import { atPixel, createMap } from "./map.js";
import { createPace } from "./pace.js";
import { createPair } from "./pair.js";
import { createPrediction } from "./prediction.js";
import { createSeeds } from "./seeds.js";
import { createSide, NAMES } from "./side.js";
import { createStore, fromHash, toHash } from "./store.js";
import { createTakeaway } from "./takeaway.js";
import { connectTheme, onTheme } from "./theme.js";
import { connectTips } from "./tooltip.js";
import { createTransport } from "./transport.js";
import { createTurns } from "./turns.js";
import { lecture, watchFor } from "./watch.js";

/**
 * Builds the page.
 * @param {{tasks: object}} data each task's points
 */
export function startPage({ tasks }) {
  const [trainer, reckoner] = [createPair(tasks), createClient(tasks)];
  const store = createStore(lecture(), checkState);
  const [history, pace] = [createHistory(), createPace()];
  let [focus, step, last, seedsNow] = [0, 0, null, []];
  let [loading, predicting] = [0, 0];

  const say = (text) => { byId("status").textContent = text; };
  const fail = (error) => {
    byId("failure").hidden = !error;
    byId("failure").textContent = error ? error.message : "";
  };
  // Bad input leaves all as it was, and says why.
  const attempt = (act) => {
    try {
      fail(null);
      act();
    } catch (error) {
      fail(error);
    }
  };
  const change = (edit) => attempt(() => store.change(edit));
  const taskOf = (state) => state.task === "own"
    ? { x: state.own.map(([first, second]) => [first, second]), y: state.own.map((point) => point[2]) }
    : tasks[state.task];
  const boundsFor = (state) => (state.task === "own" ? [-2.3, 2.3, -2.3, 2.3] : boundsOf(tasks[state.task].x));

  function want(histograms) {
    const state = store.get();
    const units = Math.max(...state.sides.map((side) => side.depth * side.width));
    const grid = units <= 8 ? 48 : units <= 16 ? 32 : 24;
    return { focus: state.sides.map(() => focus), grid, bounds: boundsFor(state), bins: histograms ? 30 : 0 };
  }

  const hear = {
    snapshot(snapshot, isFirst) {
      if (isFirst) {
        history.clear();
        curves.clear();
      }
      history.add(snapshot);
      [step, last, seedsNow] = [snapshot.step, snapshot, snapshot.sides[0].ensemble.seeds];
      transport.step(step);
      if (isFirst) pace.forget();
      if (clock.isPlaying() && !isFirst) transport.rate(pace.seen(performance.now(), step));
      snapshot.sides.forEach((data, index) => sides[index].draw(data));
      if (clock.isPlaying() && !isFirst) turns.one();
      else drawRest();
      document.body.dataset.step = step;
    },
    playing(isPlaying) {
      transport.playing(isPlaying);
      document.body.dataset.playing = isPlaying;
      pace.forget();
      transport.rate(null);
      if (isPlaying) return say("Playing.");
      drawRest();
      takeaway.update();
      return say(`Paused at step ${step}. ${sides.map((side, index) => (store.get().sides[index] ? side.say() : "")).join(" ")}`);
    },
    failure: fail,
  };
  const clock = createClock(trainer, want, hear);

  // Beside the networks and what they decide, which change at every frame.
  function drawRest() {
    if (!last) return;
    turns.all();
    curves.draw(store.get(), focus);
  }

  const place = ([first, second]) => {
    if (store.get().task !== "own") say("To place points of your own, choose “Own points” as data.");
    else change((draft) => { draft.own.push([first, second, common.label()]); });
  };
  // The button that was pressed disappears: the focus goes where a reader goes on.
  const remove = () => {
    change((draft) => { draft.sides.pop(); });
    compare.focus();
  };
  const compare = button("Compare with another start", () => {
    change((draft) => { draft.sides.push(structuredClone(draft.sides[0])); });
    sides[1].element.querySelector("select").focus();
  }, { class: "compare" });
  const common = createCommon(store, change);
  const sides = NAMES.map((_, index) => createSide(index, store, change, { place, remove }));
  const curves = createCurves(history);
  const seeds = createSeeds((net) => {
    focus = net;
    clock.look();
  });
  const turns = createTurns([
    ...sides.flatMap((side) => [side.drawNumbers, side.drawHistograms]),
    () => seeds.draw(last, focus),
    () => curves.drawOne(store.get(), focus),
  ]);
  const prediction = createPrediction(reckoner, fail);
  const map = createMap(reckoner, store.get, (index, scale, rate) => {
    open(store.get(), (draft) => {
      draft.sides[index] = atPixel(draft.sides[index], scale, rate);
    });
    say(`${NAMES[index]} is the pixel that you chose: scale ${scale}, learning rate ${rate}.`);
  }, say);
  const cards = createCards((entry) => {
    open(entry.state, () => {}, entry.steps);
    byId("watch").scrollIntoView({ block: "start", behavior: "instant" });
    say(`${entry.title} plays to step ${entry.steps}. ${entry.sentence}`);
  });
  const takeaway = createTakeaway({
    getState: store.get, getStep: () => step, seeds: () => seedsNow, history, say, fail, plots: curves.picture,
    sides: () => store.get().sides.map((_, index) => sides[index].picture()),
    load: (state) => open(state),
  });
  const transport = createTransport(clock, {
    step: () => clock.step(),
    rewind: () => clock.rewind().then(() => say("Back at the start.")),
    newSeed: () => change((draft) => { draft.seed = Math.floor(Math.random() * 1e6); }),
    seed: (seed) => change((draft) => { draft.seed = seed; }),
  });

  /** Puts a state on the bench and plays it. */
  function open(state, edit = () => {}, steps = Infinity) {
    attempt(() => {
      const draft = checkState(state);
      edit(draft);
      store.set(draft);
      // Now, so that no step of what was there comes before.
      load();
      clock.play(steps);
    });
  }

  function show(state, before) {
    const key = (value) => JSON.stringify([value.task, value.own]);
    if (!before || key(state) !== key(before)) sides.forEach((side) => side.setData(taskOf(state), boundsFor(state)));
    compare.hidden = state.sides.length === 2;
    byId("settings").firstElementChild.textContent = state.sides.length === 2 ? "Settings of both" : "Settings";
    byId("bench").dataset.sides = state.sides.length;
    transport.seed(state.seed);
    const { text, name } = watchFor(state);
    byId("watch").textContent = text;
    cards.mark(name);
  }

  function reload(state, before) {
    show(state, before);
    globalThis.history.replaceState(null, "", toHash(state));
    focus = Math.min(focus, state.seeds - 1);
    if (before && isStale(state, before)) map.forget();
    // A slider that is dragged asks for many states: the last one counts.
    clearTimeout(loading);
    loading = setTimeout(load, 30);
    clearTimeout(predicting);
    predicting = setTimeout(() => {
      prediction.update(state);
      map.draw();
    }, 250);
  }

  function load() {
    clearTimeout(loading);
    return clock.load(store.get()).then(() => takeaway.update());
  }

  // Scale and learning rate are the map's axes.
  function isStale(state, before) {
    const key = (all) => JSON.stringify([all.task, all.own, all.seed, atPixel(all.sides[map.side(all)], 1, 1)]);
    return key(state) !== key(before);
  }

  function readHash() {
    attempt(() => {
      const given = fromHash(location.hash);
      if (given !== null && JSON.stringify(given) !== JSON.stringify(store.get())) store.set(given);
    });
  }

  byId("settings").append(common.element);
  byId("settings").open = matchMedia("(min-width: 60rem)").matches;
  byId("bench").append(...sides.map((side) => side.element), compare);
  byId("transport").append(...transport.elements);
  byId("curves").append(curves.element);
  byId("seeds").append(seeds.element);
  byId("theory").append(prediction.element);
  byId("map").append(map.element);
  byId("gallery").append(cards.element);
  byId("export").append(takeaway.element);
  byId("keys").append(transport.keys);
  connectTips();
  connectTheme(byId("theme"));

  const redraw = () => {
    sides.forEach((side) => side.redraw());
    sides.forEach((side) => side.setData(taskOf(store.get()), boundsFor(store.get())));
    drawRest();
    prediction.redraw();
    map.draw();
  };
  onTheme(redraw);
  let width = 0;
  new ResizeObserver(() => {
    const now = byId("bench").clientWidth;
    if (now !== width) redraw();
    width = now;
  }).observe(byId("bench"));
  window.addEventListener("hashchange", readHash);

  readHash();
  store.subscribe(reload);
  reload(store.get(), null);
  map.draw();
}
