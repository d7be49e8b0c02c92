"""Cameras that are too few, too small, alike by name; tracklets and times."""

from tests.support.small_crops import inspected, two_cameras, write


def findings(folder, names=""):
    return inspected(folder, names)["findings"]


def test_no_camera_is_known(tmp_path):
    write(tmp_path / "crops", 40)
    told = findings(tmp_path / "crops")
    assert (told["no_cameras"]["count"], told["no_cameras"]["level"]) == (40, "harms")
    assert "one_camera" not in told


def test_one_camera_alone(tmp_path):
    write(tmp_path / "crops" / "door", 40)
    told = findings(tmp_path / "crops", "{camera}/{*}")
    assert told["one_camera"]["examples"] == ["door"]
    assert "Training works" in told["one_camera"]["causes"]


def test_some_pictures_without_camera(tmp_path):
    paths = write(tmp_path / "crops", 40)
    rows = [f"{path.name},{'door' if row else ''}" for row, path in enumerate(paths)]
    (tmp_path / "crops" / "table.csv").write_text("\n".join(["file,camera", *rows]))
    told = inspected(tmp_path / "crops" / "table.csv")
    assert told["findings"]["without_camera"]["examples"] == ["0000.jpg"]
    assert [camera["name"] for camera in told["cameras"]] == ["door", None]
    assert [camera["pictures"] for camera in told["cameras"]] == [39, 1]


def test_small_cameras_go_by_what_training_needs(tmp_path):
    write(tmp_path / "crops" / "a", 63)
    write(tmp_path / "crops" / "b", 64, 100)
    told = findings(tmp_path / "crops")
    assert told["small_cameras"]["examples"] == ["a (63)"]


def test_unequal_cameras(tmp_path):
    write(tmp_path / "crops" / "a", 2)
    write(tmp_path / "crops" / "b", 40, 100)
    assert "unequal_cameras" not in findings(tmp_path / "crops")
    write(tmp_path / "crops" / "b", 1, 900)
    assert findings(tmp_path / "crops")["unequal_cameras"]["examples"] == ["b (41)", "a (2)"]


def test_names_that_differ_in_case_or_spaces(tmp_path):
    for place, name in enumerate(("Cam 1", "cam1", "cam2")):
        write(tmp_path / "crops" / name, 12, 100 * place)
    told = findings(tmp_path / "crops")
    assert told["alike_names"]["examples"] == ["'Cam 1' = 'cam1'"]
    assert "spaced_names" not in told and "same_number" not in told


def test_names_that_end_in_a_space(tmp_path):
    write(tmp_path / "crops" / "door ", 20)
    write(tmp_path / "crops" / "hall", 20, 100)
    assert findings(tmp_path / "crops")["spaced_names"]["examples"] == ["'door '"]


def test_names_that_are_one_number_stop_training(tmp_path):
    write(tmp_path / "crops" / "1", 20)
    write(tmp_path / "crops" / "01", 20, 100)
    told = inspected(tmp_path / "crops")
    assert set(told["findings"]["same_number"]["examples"][0].split(" = ")) == {"'1'", "'01'"}
    assert told["status"] == 1
    assert "alike_names" not in told["findings"]


def test_tracklets_of_more_than_one_camera(tmp_path):
    for camera, tracklets in {"a": ("1", "2"), "b": ("2", "3")}.items():
        for place, tracklet in enumerate(tracklets):
            write(tmp_path / "crops" / camera / tracklet, 10, ord(camera) * 100 + 10 * place)
    told = inspected(tmp_path / "crops", "{camera}/{tracklet}/{*}")
    assert told["findings"]["shared_tracklets"]["examples"] == ["2"]
    assert (told["tracklets"], told["median_tracklet"]) == (4, 10)
    assert [camera["tracklets"] for camera in told["cameras"]] == [2, 2]


def test_times_that_are_no_times(tmp_path):
    paths = write(tmp_path / "crops", 40)
    times = ["2026-11-28T18:40:00", "2026-11-28T19:40:00", "noon", "", *["7200"] * 36]
    rows = [f"{path.name},door,{time}" for path, time in zip(paths, times, strict=True)]
    (tmp_path / "crops" / "table.csv").write_text("\n".join(["file,camera,time", *rows]))
    told = inspected(tmp_path / "crops" / "table.csv")["findings"]["odd_times"]
    assert (told["count"], told["examples"]) == (1, ["0002.jpg: noon"])


def test_times_of_a_template(tmp_path):
    write(tmp_path / "crops" / "door_soon", 20)
    write(tmp_path / "crops" / "door_7200", 20, 100)
    told = inspected(tmp_path / "crops", "{camera}_{time}/{*}")
    assert told["findings"]["odd_times"]["count"] == 20
    assert (told["cameras"][0]["first"], told["cameras"][0]["last"]) == (7200, 7200)


def test_official_data_sets_are_recognised(tmp_path):
    folder = tmp_path / "crops"
    for split in ("bounding_box_train", "query"):
        for path in write(folder / split, 40, len(split)):
            path.rename(path.with_name(f"0002_c{int(path.stem) % 2 + 1}s1_00{path.stem}_00.jpg"))
    told = inspected(folder)
    assert told["official"] == "Market-1501" and "2 cameras" in told["told_by"]
    assert told["splits"] == {"query": 40, "train": 40}
    assert (told["learnt"], told["persons"]) == (40, 1)


def test_well_made_data_has_no_finding_on_cameras(tmp_path):
    two_cameras(tmp_path / "crops")
    assert findings(tmp_path / "crops").keys() == {"few_pictures", "small_cameras"}
