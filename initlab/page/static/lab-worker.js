/** The worker: the lab's numbers, off the thread that draws. */
import { startWorker } from "./lab/worker.js";

startWorker(self);
