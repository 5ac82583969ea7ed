/** The page begins here. */
import { startPage } from "./view/page.js";

startPage(JSON.parse(document.getElementById("page-data").textContent));
