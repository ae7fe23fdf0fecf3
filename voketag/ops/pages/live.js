/* The live view: what happens now, and what is wrong. */

import { asked, remember } from "./address.js";
import { byId } from "./dom.js";
import { clock } from "./format.js";
import { Charts } from "./live_charts.js";
import { follow } from "./live_connection.js";
import { showFigures, showRefusals } from "./live_figures.js";
import { Tail } from "./live_tail.js";
import { showTroubles } from "./live_troubles.js";
import { showMix, showProducts } from "./live_mix.js";
import { showAnchoring, showStreams } from "./live_system.js";
import { run } from "./page.js";

const SYSTEM = ["streams", "anchoring", "verdicts", "countries", "refusals", "products", "tail"];

run(async () => {
  const charts = new Charts(byId("rates-chart"), byId("latency-chart"));
  let state = null;
  let lost = null; // since when nothing came, while nothing comes
  const tail = new Tail((filter) => {
    remember(filter);
    connection.open(filter);
  });
  const connection = follow({
    history: (told) => charts.begin(told),
    beat: (told) => {
      charts.add(told);
      showFigures(told, state);
      showRefusals(told.refusals);
      tail.add(told);
      byId("clock").textContent = clock(told.at);
    },
    state: (told) => {
      state = told;
      showTroubles(state.troubles, lost);
      showStreams(state.streams);
      showAnchoring(state.anchoring);
      showMix(state.mix);
      showProducts(state.top_products);
    },
    lost: (at) => {
      lost = at;
      for (const id of SYSTEM)
        byId(id)
          .closest(".card")
          .classList.toggle("stale", lost !== null);
      if (lost !== null) {
        state = null; // what is shown of it is old from now on
        showFigures(null, null);
      }
      showTroubles([], lost);
    },
  });
  showFigures(null, null);
  showTroubles(null, null);
  connection.open({
    verdict: asked("verdict"),
    country: asked("country"),
    text: asked("text"),
  });
});
